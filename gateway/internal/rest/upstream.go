package rest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/mosaajii/backup/gateway/internal/settings"
)

// Connect opens the connection to the server, which need not be there yet: calls fail at once while it is away, and it is looked for again
// and again.
func Connect(s *settings.Settings) (*grpc.ClientConn, error) {
	secure := insecure.NewCredentials()
	if s.ServerCA != "" || s.ClientCert != "" {
		config := &tls.Config{MinVersion: tls.VersionTLS12}
		if s.ServerCA != "" {
			pem, err := os.ReadFile(s.ServerCA)
			if err != nil {
				return nil, fmt.Errorf("MOSAAJII_TLS_CLIENT_CA cannot be read: %w", err)
			}
			config.RootCAs = x509.NewCertPool()
			if !config.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("MOSAAJII_TLS_CLIENT_CA is \"%s\", which holds no certificate; allowed is a PEM file", s.ServerCA)
			}
		}
		if s.ClientCert != "" {
			certificate, err := tls.LoadX509KeyPair(s.ClientCert, s.ClientKey)
			if err != nil {
				return nil, fmt.Errorf("MOSAAJII_TLS_CERT and MOSAAJII_TLS_KEY cannot be used: %w", err)
			}
			config.Certificates = []tls.Certificate{certificate}
		}
		secure = credentials.NewTLS(config)
	}
	connection, err := grpc.NewClient("passthrough:///"+s.Server,
		grpc.WithTransportCredentials(secure),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 3 * time.Second,
			Backoff: backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second}}),
		// The server sends away who pings more often than every ten seconds.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithIdleTimeout(0),
		grpc.WithDisableServiceConfig(),
		grpc.WithUserAgent("mosaajii-gateway"),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)),
		grpc.WithStatsHandler(answerWatch{}),
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, request, reply any, c *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
			ctx, answered := withAnswered(ctx)
			return explain(invoke(ctx, method, request, reply, c, options...), answered)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, description *grpc.StreamDesc, c *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
			ctx, answered := withAnswered(ctx)
			stream, err := open(ctx, description, c, method, options...)
			if err != nil {
				return nil, explain(err, answered)
			}
			return &explainedStream{stream, answered}, nil
		}))
	if err != nil {
		return nil, fmt.Errorf("MOSAAJII_SERVER is \"%s\", which cannot be used: %w", s.Server, err)
	}
	connection.Connect()
	return connection, nil
}

// Whether the status of a call came from the server, or from this side because there was no server.
type answeredKey struct{}

func withAnswered(ctx context.Context) (context.Context, *atomic.Bool) {
	answered := new(atomic.Bool)
	return context.WithValue(ctx, answeredKey{}, answered), answered
}

type answerWatch struct{}

func (answerWatch) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (answerWatch) HandleRPC(ctx context.Context, event stats.RPCStats) {
	if _, ok := event.(*stats.InTrailer); ok {
		if answered, ok := ctx.Value(answeredKey{}).(*atomic.Bool); ok {
			answered.Store(true)
		}
	}
}

func (answerWatch) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (answerWatch) HandleConn(context.Context, stats.ConnStats)                       {}

// explain says in a sentence what the library says in its own terms.
func explain(err error, answered *atomic.Bool) error {
	if err == nil || answered.Load() {
		return err
	}
	switch status.Code(err) {
	case codes.Unavailable:
		return status.Error(codes.Unavailable, "the backup server cannot be reached at the moment; try again shortly")
	case codes.DeadlineExceeded:
		return status.Error(codes.DeadlineExceeded, "the backup server did not answer in time")
	default:
		return err
	}
}

type explainedStream struct {
	grpc.ClientStream
	answered *atomic.Bool
}

// Header would wait for the server's headers, which come with the first message, so that a silent stream would never be opened. Nobody
// needs them.
func (s *explainedStream) Header() (metadata.MD, error) { return nil, nil }

func (s *explainedStream) RecvMsg(message any) error {
	err := s.ClientStream.RecvMsg(message)
	if _, ok := status.FromError(err); !ok {
		return err // io.EOF
	}
	return explain(err, s.answered)
}
