package settings

import (
	"strings"
	"testing"
)

func TestDefaults(t *testing.T) {
	s, err := Load([]string{"PATH=/bin", "MOSAAJII_GATEWAY_LISTEN="})
	if err != nil || s.Listen != "127.0.0.1:8080" || s.Server != "127.0.0.1:50051" || s.LogJSON || s.LogLevel != "info" || s.CORSOrigins != nil {
		t.Fatal(err, s)
	}
}

func TestGiven(t *testing.T) {
	s, err := Load([]string{"MOSAAJII_GATEWAY_LISTEN=[::1]:0", "MOSAAJII_CORS_ORIGINS=https://a.example, http://b:3000", "MOSAAJII_LOG_FORMAT=json",
		"MOSAAJII_TRUSTED_PROXIES=10.0.0.0/8,192.0.2.1", "MOSAAJII_HOME=/of/the/server", "MOSAAJII_TOKEN_FILE=x"})
	if err != nil || len(s.CORSOrigins) != 2 || len(s.TrustedProxies) != 2 || s.TrustedProxies[1].String() != "192.0.2.1/32" || !s.LogJSON {
		t.Fatal(err, s)
	}
	if _, err = Load([]string{"MOSAAJII_GATEWAY_LISTEN=0.0.0.0:443", "MOSAAJII_GATEWAY_TLS_CERT=/c", "MOSAAJII_GATEWAY_TLS_KEY=/k"}); err != nil {
		t.Fatal(err)
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	for given, sentence := range map[string]string{
		"MOSAAJII_GATEWAY_LISTN=x":                "MOSAAJII_GATEWAY_LISTN is no setting of this program",
		"MOSAAJII_GATEWAY_LISTEN=8080":            `MOSAAJII_GATEWAY_LISTEN is "8080"; allowed is host:port`,
		"MOSAAJII_GATEWAY_LISTEN=:8080":           `MOSAAJII_GATEWAY_LISTEN is ":8080"; allowed is host:port`,
		"MOSAAJII_GATEWAY_LISTEN=127.0.0.1:99999": `MOSAAJII_GATEWAY_LISTEN is "127.0.0.1:99999"; allowed is host:port`,
		"MOSAAJII_GATEWAY_LISTEN=0.0.0.0:8080":    `MOSAAJII_GATEWAY_LISTEN is "0.0.0.0:8080", which is not loopback`,
		"MOSAAJII_GATEWAY_LISTEN=pos.example:80":  `which is not loopback`,
		"MOSAAJII_GATEWAY_TLS_CERT=/c":            "MOSAAJII_GATEWAY_TLS_CERT and MOSAAJII_GATEWAY_TLS_KEY are given together",
		"MOSAAJII_TLS_KEY=/k":                     "MOSAAJII_TLS_CERT and MOSAAJII_TLS_KEY are given together",
		"MOSAAJII_LOG_FORMAT=xml":                 `MOSAAJII_LOG_FORMAT is "xml"; allowed is logfmt or json`,
		"MOSAAJII_LOG_LEVEL=loud":                 `MOSAAJII_LOG_LEVEL is "loud"; allowed is debug, info, warning or error`,
		"MOSAAJII_CORS_ORIGINS=*":                 `MOSAAJII_CORS_ORIGINS holds "*"`,
		"MOSAAJII_CORS_ORIGINS=https://a/b":       `MOSAAJII_CORS_ORIGINS holds "https://a/b"`,
		"MOSAAJII_TRUSTED_PROXIES=10.0.0.0/99":    `MOSAAJII_TRUSTED_PROXIES holds "10.0.0.0/99"`,
	} {
		if _, err := Load([]string{given}); err == nil || !strings.Contains(err.Error(), sentence) {
			t.Errorf("%s: %v", given, err)
		}
	}
}
