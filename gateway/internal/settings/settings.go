// Package settings reads the gateway's settings from the environment. Their names, types, defaults and meanings are those of
// server/common/settings.def.
package settings

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

type definition struct{ name, kind, fallback, meaning string }

// What this program uses of them.
var used = []string{"MOSAAJII_GATEWAY_LISTEN", "MOSAAJII_GATEWAY_TLS_CERT", "MOSAAJII_GATEWAY_TLS_KEY", "MOSAAJII_SERVER",
	"MOSAAJII_TLS_CLIENT_CA", "MOSAAJII_TLS_CERT", "MOSAAJII_TLS_KEY", "MOSAAJII_CORS_ORIGINS", "MOSAAJII_TRUSTED_PROXIES",
	"MOSAAJII_LOG_FORMAT", "MOSAAJII_LOG_LEVEL"}

// Settings of the gateway, checked.
type Settings struct {
	// host:port
	Listen string
	// PEM files; empty: no TLS.
	TLSCert, TLSKey string
	// host:port
	Server string
	// Of the connection to the server: who signed its certificate, and who the gateway is where the server asks.
	ServerCA, ClientCert, ClientKey string
	CORSOrigins                     []string
	TrustedProxies                  []netip.Prefix
	LogJSON                         bool
	// debug, info, warning or error
	LogLevel string
}

// Load checks the environment, in the form of os.Environ. The error is one sentence that names the variable.
func Load(environment []string) (*Settings, error) {
	values := map[string]string{}
	for _, d := range definitions {
		values[d.name] = d.fallback
	}
	for _, pair := range environment {
		name, value, _ := strings.Cut(pair, "=")
		if _, known := values[name]; !known && strings.HasPrefix(name, "MOSAAJII_") {
			return nil, fmt.Errorf("%s is no setting of this program; mosaajii-server --print-config lists them", name)
		} else if known && value != "" {
			values[name] = value
		}
	}
	for _, name := range used {
		if err := check(name, values[name]); err != nil {
			return nil, err
		}
	}
	s := &Settings{Listen: values["MOSAAJII_GATEWAY_LISTEN"], TLSCert: values["MOSAAJII_GATEWAY_TLS_CERT"],
		TLSKey: values["MOSAAJII_GATEWAY_TLS_KEY"], Server: values["MOSAAJII_SERVER"], ServerCA: values["MOSAAJII_TLS_CLIENT_CA"],
		ClientCert: values["MOSAAJII_TLS_CERT"], ClientKey: values["MOSAAJII_TLS_KEY"],
		LogJSON: values["MOSAAJII_LOG_FORMAT"] == "json", LogLevel: values["MOSAAJII_LOG_LEVEL"]}
	var err error
	if s.CORSOrigins, err = origins(values["MOSAAJII_CORS_ORIGINS"]); err != nil {
		return nil, err
	}
	if s.TrustedProxies, err = networks(values["MOSAAJII_TRUSTED_PROXIES"]); err != nil {
		return nil, err
	}
	switch {
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return nil, fmt.Errorf("MOSAAJII_GATEWAY_TLS_CERT and MOSAAJII_GATEWAY_TLS_KEY are given together or not at all")
	case (s.ClientCert == "") != (s.ClientKey == ""):
		return nil, fmt.Errorf("MOSAAJII_TLS_CERT and MOSAAJII_TLS_KEY are given together or not at all")
	case s.TLSCert == "" && !loopback(s.Listen):
		return nil, fmt.Errorf("MOSAAJII_GATEWAY_LISTEN is \"%s\", which is not loopback; "+
			"allowed without MOSAAJII_GATEWAY_TLS_CERT and MOSAAJII_GATEWAY_TLS_KEY is a loopback address", s.Listen)
	}
	return s, nil
}

func find(name string) definition {
	for _, d := range definitions {
		if d.name == name {
			return d
		}
	}
	return definition{}
}

func check(name, value string) error {
	if value == "" {
		return nil
	}
	words := map[string][]string{"FORMAT": {"logfmt", "json"}, "LEVEL": {"debug", "info", "warning", "error"}}[find(name).kind]
	for _, word := range words {
		if word == value {
			return nil
		}
	}
	switch {
	case words != nil:
		last := len(words) - 1
		return fmt.Errorf("%s is \"%s\"; allowed is %s or %s", name, value, strings.Join(words[:last], ", "), words[last])
	case find(name).kind == "ADDRESS" && !addressValid(value):
		return fmt.Errorf("%s is \"%s\"; allowed is host:port", name, value)
	}
	return nil
}

func addressValid(text string) bool {
	host, port, err := net.SplitHostPort(text)
	number, numberErr := strconv.ParseUint(port, 10, 16)
	_ = number
	return err == nil && host != "" && numberErr == nil
}

func loopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func list(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func origins(text string) ([]string, error) {
	items := list(text)
	for _, item := range items {
		u, err := url.Parse(item)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+u.Host != item ||
			strings.Contains(item, "*") {
			return nil, fmt.Errorf("MOSAAJII_CORS_ORIGINS holds \"%s\"; allowed are origins, as https://pos.example.com", item)
		}
	}
	return items, nil
}

func networks(text string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, item := range list(text) {
		prefix, err := netip.ParsePrefix(item)
		if address, addressErr := netip.ParseAddr(item); addressErr == nil {
			prefix, err = address.Prefix(address.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("MOSAAJII_TRUSTED_PROXIES holds \"%s\"; allowed are addresses and networks, as 10.0.0.0/8", item)
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

// Describe writes the settings of this program for --help.
func Describe(w io.Writer) {
	for _, name := range used {
		d := find(name)
		fmt.Fprintf(w, "  %s", d.name)
		if d.fallback != "" {
			fmt.Fprintf(w, " (%s)", d.fallback)
		}
		fmt.Fprintf(w, "\n      %s\n", d.meaning)
	}
}
