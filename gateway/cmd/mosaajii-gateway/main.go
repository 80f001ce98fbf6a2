// The gateway: REST and JSON over HTTP in front of mosaajii-server.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/mosaajii/backup/gateway/internal/rest"
	"github.com/mosaajii/backup/gateway/internal/settings"
)

// Set when it is built.
var version = "0.0.0"

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	grace         = 10 * time.Second
	healthTimeout = 5 * time.Second
	// The handler answers what is larger than its own limit; this one only protects the library.
	headerLimitBytes = 64 << 10
)

func main() {
	if len(os.Args) > 1 {
		os.Exit(answer(os.Args[1:]))
	}
	s, err := settings.Load(os.Environ())
	if err != nil {
		fmt.Fprintf(os.Stderr, "mosaajii-gateway: %v\n", err)
		os.Exit(2)
	}
	logger := newLogger(s)
	if err = serve(s, logger); err != nil {
		logger.Error("failed", "error", err.Error())
		os.Exit(1)
	}
}

func answer(arguments []string) int {
	switch {
	case len(arguments) == 1 && arguments[0] == "--version":
		fmt.Println("mosaajii-gateway " + version)
		return 0
	case len(arguments) == 1 && arguments[0] == "--health":
		s, err := settings.Load(os.Environ())
		if err == nil {
			err = healthy(s)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "mosaajii-gateway: %v\n", err)
			return 1
		}
		return 0
	case len(arguments) == 1 && (arguments[0] == "--help" || arguments[0] == "-h"):
		fmt.Print("Usage: mosaajii-gateway [--help | --version | --health]\n\n" +
			"Serves the dashboard and the REST API of mosaajii-server over HTTP, documented at /api/docs. Settings come from the environment.\n" +
			"--health asks the one that runs here with the same settings whether it and the server behind it take calls.\n\n")
		settings.Describe(os.Stdout)
		return 0
	default:
		fmt.Fprintf(os.Stderr, "mosaajii-gateway: %q is no argument of this program; allowed are --help, --version and --health\n", strings.Join(arguments, " "))
		return 2
	}
}

// healthy asks the gateway that listens with these settings. It shows that one nothing that is secret, and its certificate may be for
// another name than the address it listens on, so the certificate is not looked at.
func healthy(s *settings.Settings) error {
	scheme := "http"
	if s.TLSCert != "" {
		scheme = "https"
	}
	client := &http.Client{Timeout: healthTimeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	answer, err := client.Get(scheme + "://" + s.Listen + "/readyz")
	if err != nil {
		return fmt.Errorf("no gateway answers at %s: %w", s.Listen, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
		return fmt.Errorf("not ready: %s", strings.TrimSpace(string(said)))
	}
	return nil
}

// newLogger writes one line an event to standard error, in the form of the project's other programs.
func newLogger(s *settings.Settings) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(strings.Replace(s.LogLevel, "warning", "warn", 1)))
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		switch {
		case len(groups) > 0:
		case a.Key == slog.TimeKey:
			a.Value = slog.StringValue(a.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z"))
		case a.Key == slog.LevelKey:
			a.Value = slog.StringValue(strings.Replace(strings.ToLower(a.Value.String()), "warn", "warning", 1))
		case a.Key == slog.MessageKey:
			a.Key = "event"
		}
		return a
	}}
	var handler slog.Handler = slog.NewTextHandler(os.Stderr, options)
	if s.LogJSON {
		handler = slog.NewJSONHandler(os.Stderr, options)
	}
	return slog.New(handler).With("program", "mosaajii-gateway")
}

func serve(s *settings.Settings, logger *slog.Logger) error {
	var certificates []tls.Certificate
	if s.TLSCert != "" {
		certificate, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey)
		if err != nil {
			return fmt.Errorf("MOSAAJII_GATEWAY_TLS_CERT and MOSAAJII_GATEWAY_TLS_KEY cannot be used: %w", err)
		}
		certificates = append(certificates, certificate)
	}
	connection, err := rest.Connect(s)
	if err != nil {
		return err
	}
	defer connection.Close()
	handler, err := rest.New(connection, rest.Options{Log: logger, TrustedProxies: s.TrustedProxies, CORSOrigins: s.CORSOrigins})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerLimitBytes,
		ErrorLog:  log.New(lines{logger}, "", 0),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: certificates}}
	listener, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return fmt.Errorf("MOSAAJII_GATEWAY_LISTEN is \"%s\", which cannot be bound: %w", s.Listen, err)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		if len(certificates) > 0 {
			ended <- server.ServeTLS(listener, "", "")
			return
		}
		ended <- server.Serve(rest.Enveloped(listener))
	}()
	logger.Info("ready", "address", listener.Addr().String(), "server", s.Server, "tls", len(certificates) > 0, "version", version)
	select {
	case err = <-ended:
		return err
	case <-ctx.Done():
	}
	logger.Info("stopping")
	handler.Stop()
	last, done := context.WithTimeout(context.Background(), grace)
	defer done()
	if err = server.Shutdown(last); errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	logger.Info("stopped")
	return err
}

// lines takes what the HTTP library says, line by line.
type lines struct{ logger *slog.Logger }

func (l lines) Write(b []byte) (int, error) {
	l.logger.Debug("http", "message", strings.TrimSpace(string(b)))
	return len(b), nil
}
