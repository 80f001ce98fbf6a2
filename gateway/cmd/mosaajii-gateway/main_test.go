package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// The test's own program is the gateway when it is told so: the real main, in a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_RUN_MAIN") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func command(t *testing.T, arguments []string, environment ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0], arguments...)
	c.Env = append([]string{"TEST_RUN_MAIN=1", "PATH=" + os.Getenv("PATH")}, environment...)
	return c
}

// start runs the gateway until the test ends and gives its address.
func start(t *testing.T, environment ...string) (address string, stop func() error) {
	t.Helper()
	c := command(t, nil, append(environment, "MOSAAJII_LOG_FORMAT=json", "MOSAAJII_GATEWAY_LISTEN=127.0.0.1:0")...)
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err = c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	reader := bufio.NewReader(stderr)
	line, err := reader.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var event struct{ Event, Address, Program, Level, Time string }
	if err = json.Unmarshal(line, &event); err != nil || event.Event != "ready" || event.Program != "mosaajii-gateway" || event.Level != "info" {
		t.Fatal(err, string(line))
	}
	return event.Address, func() error {
		if err := c.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, reader)
		return c.Wait()
	}
}

func TestStartsWithoutAServerAndStopsCleanly(t *testing.T) {
	address, stop := start(t, "MOSAAJII_SERVER=127.0.0.1:1")
	response, err := http.Get("http://" + address + "/healthz")
	if err != nil || response.StatusCode != 200 {
		t.Fatal(err, response)
	}
	if response, err = http.Get("http://" + address + "/readyz"); err != nil || response.StatusCode != 503 {
		t.Fatal(err, response)
	}
	if err = stop(); err != nil {
		t.Fatal(err)
	}
}

// What the HTTP library refuses before any handler comes in the envelope too.
func TestRequestsThatAreNone(t *testing.T) {
	address, stop := start(t, "MOSAAJII_SERVER=127.0.0.1:1")
	for _, c := range []struct {
		request string
		status  int
		code    string
	}{
		{"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", 431, "RESOURCE_EXHAUSTED"},
		{"GET /healthz HTTP/1.1\r\n\r\n", 400, "INVALID_ARGUMENT"},
		{"nonsense\r\n\r\n", 400, "INVALID_ARGUMENT"},
		{"GET /healthz HTTP/1.1\r\nHost: x\r\na b: c\r\n\r\n", 400, "INVALID_ARGUMENT"},
		{"POST /api/backups HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "UNIMPLEMENTED"},
		{"GET /healthz HTTP/3.0\r\nHost: x\r\n\r\n", 505, "UNIMPLEMENTED"},
	} {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		// The gateway may answer and close before it has read it all.
		_, _ = io.WriteString(connection, c.request)
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatalf("%.40q: %v", c.request, err)
		}
		var envelope struct {
			Success     *bool
			Error, Code string
			Details     []any
		}
		err = json.NewDecoder(response.Body).Decode(&envelope)
		connection.Close()
		if err != nil || response.StatusCode != c.status || envelope.Code != c.code || envelope.Error == "" || envelope.Success == nil || *envelope.Success ||
			envelope.Details == nil || response.Header.Get("Content-Type") != "application/json" || !response.Close {
			t.Errorf("%.40q: %v, %s, %+v", c.request, err, response.Status, envelope)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestArgumentsAndSettings(t *testing.T) {
	for _, c := range []struct {
		arguments, environment []string
		code                   int
		text                   string
	}{
		{[]string{"--version"}, nil, 0, "mosaajii-gateway "},
		{[]string{"--help"}, nil, 0, "MOSAAJII_GATEWAY_LISTEN (127.0.0.1:8080)"},
		{[]string{"--port", "1"}, nil, 2, "is no argument of this program"},
		{[]string{"--health"}, []string{"MOSAAJII_GATEWAY_LISTEN=127.0.0.1:1"}, 1, "no gateway answers at 127.0.0.1:1"},
		{[]string{"--health"}, []string{"MOSAAJII_GATEWAY_LISTEN=nonsense"}, 1, "allowed is host:port"},
		{nil, []string{"MOSAAJII_GATEWAY_LISTEN=0.0.0.0:0"}, 2, "which is not loopback"},
		{nil, []string{"MOSAAJII_TYPO=1"}, 2, "MOSAAJII_TYPO is no setting of this program"},
		{nil, []string{"MOSAAJII_TLS_CLIENT_CA=/does/not/exist"}, 1, "MOSAAJII_TLS_CLIENT_CA cannot be read"},
		{nil, []string{"MOSAAJII_GATEWAY_TLS_CERT=/none", "MOSAAJII_GATEWAY_TLS_KEY=/none"}, 1, "MOSAAJII_GATEWAY_TLS_CERT"},
		{nil, []string{"MOSAAJII_GATEWAY_LISTEN=127.0.0.1:1", "MOSAAJII_GATEWAY_TLS_CERT="}, 1, "which cannot be bound"},
	} {
		if c.text == "which cannot be bound" && os.Getuid() == 0 {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			c.environment[0] = "MOSAAJII_GATEWAY_LISTEN=" + listener.Addr().String()
		}
		run := command(t, c.arguments, c.environment...)
		out, _ := run.CombinedOutput()
		if run.ProcessState.ExitCode() != c.code || !bytes.Contains(out, []byte(c.text)) {
			t.Errorf("%v %v: exit code %d: %s", c.arguments, c.environment, run.ProcessState.ExitCode(), out)
		}
	}
}

// certificates makes an authority and a certificate of it for 127.0.0.1.
func certificates(t *testing.T) (ca, cert, key string) {
	t.Helper()
	folder := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var parent *x509.Certificate
	var parentKey *ecdsa.PrivateKey
	paths := [3]string{}
	for i := range 2 {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
			NotAfter: time.Now().Add(time.Hour), IsCA: i == 0, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
		if i == 0 {
			parent, parentKey = template, private
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &private.PublicKey, parentKey)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			paths[0] = write("ca.pem", "CERTIFICATE", der)
			continue
		}
		encoded, err := x509.MarshalECPrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		paths[1], paths[2] = write("cert.pem", "CERTIFICATE", der), write("key.pem", "EC PRIVATE KEY", encoded)
	}
	return paths[0], paths[1], paths[2]
}

func TestTLSOnBothSides(t *testing.T) {
	ca, cert, key := certificates(t)
	pool := x509.NewCertPool()
	authority, err := os.ReadFile(ca)
	if err != nil || !pool.AppendCertsFromPEM(authority) {
		t.Fatal(err)
	}
	certificate, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// A server that asks for a certificate of the caller.
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert})))
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, ForceAttemptHTTP2: true}}
	get := func(address string) int {
		response, err := client.Get("https://" + address + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		if !strings.HasPrefix(string(text), `{"success":`) || response.ProtoMajor != 2 {
			t.Fatal(response.Proto, string(text))
		}
		return response.StatusCode
	}
	own := []string{"MOSAAJII_SERVER=" + listener.Addr().String(), "MOSAAJII_GATEWAY_TLS_CERT=" + cert, "MOSAAJII_GATEWAY_TLS_KEY=" + key}
	for _, c := range []struct {
		environment []string
		status      int
	}{
		{append(own, "MOSAAJII_TLS_CLIENT_CA="+ca, "MOSAAJII_TLS_CERT="+cert, "MOSAAJII_TLS_KEY="+key), 200},
		{append(own, "MOSAAJII_TLS_CLIENT_CA="+ca), 503},
		{append(own, "MOSAAJII_TLS_CERT="+cert, "MOSAAJII_TLS_KEY="+key), 503},
		{own, 503},
	} {
		address, stop := start(t, c.environment...)
		if status := get(address); status != c.status {
			t.Errorf("%v: %d, not %d", c.environment[3:], status, c.status)
		}
		// A probe with the same settings, and what one would tell it.
		probe := command(t, []string{"--health"}, append(c.environment, "MOSAAJII_GATEWAY_LISTEN="+address)...)
		if said, err := probe.CombinedOutput(); (err == nil) != (c.status == 200) || err != nil && !bytes.Contains(said, []byte("cannot be reached")) {
			t.Errorf("%v: the probe said %v: %s", c.environment[3:], err, said)
		}
		client.CloseIdleConnections()
		if err = stop(); err != nil {
			t.Error(err)
		}
	}
}
