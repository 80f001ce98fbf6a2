package rest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/mosaajii/backup/gateway/internal/settings"
)

// call is what the fake server saw of a call.
type call struct {
	name     string
	request  protoreflect.Message
	metadata metadata.MD
}

// fake is a gRPC server that knows every call of the API and answers as a test says: for each method an empty message, unless there is
// an answer of its own.
type fake struct {
	mu      sync.Mutex
	answers map[string]func(ctx context.Context, request proto.Message, send func(proto.Message) error) error
	calls   []call
	health  *health.Server
	server  *grpc.Server
	address string
}

func newFake(t *testing.T) *fake {
	f := &fake{answers: map[string]func(context.Context, proto.Message, func(proto.Message) error) error{}}
	f.start(t, "127.0.0.1:0")
	t.Cleanup(f.stop)
	return f
}

func (f *fake) start(t *testing.T, address string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	f.health = health.NewServer()
	f.server = grpc.NewServer(grpc.UnknownServiceHandler(f.handle))
	grpc_health_v1.RegisterHealthServer(f.server, f.health)
	f.address = listener.Addr().String()
	go f.server.Serve(listener)
}

func (f *fake) stop() { f.server.Stop() }

// on sets the answer of a call, as "BackupService.GetBackup", to the messages, or to the error after them.
func (f *fake) on(name string, err error, messages ...proto.Message) {
	f.do(name, func(_ context.Context, _ proto.Message, send func(proto.Message) error) error {
		for _, message := range messages {
			if sendErr := send(message); sendErr != nil {
				return sendErr
			}
		}
		return err
	})
}

func (f *fake) do(name string, answer func(context.Context, proto.Message, func(proto.Message) error) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[name] = answer
}

func (f *fake) handle(_ any, stream grpc.ServerStream) error {
	full, _ := grpc.MethodFromServerStream(stream)
	service, name, _ := strings.Cut(strings.TrimPrefix(full, "/"), "/")
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return status.Error(codes.Unimplemented, "no such service")
	}
	method := descriptor.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(name))
	input, err := protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
	if err != nil {
		return err
	}
	request := input.New().Interface()
	if err = stream.RecvMsg(request); err != nil {
		return err
	}
	short := strings.TrimPrefix(service, "mosaajii.backup.v1.") + "." + name
	received, _ := metadata.FromIncomingContext(stream.Context())
	f.mu.Lock()
	f.calls = append(f.calls, call{short, request.ProtoReflect(), received})
	answer := f.answers[short]
	f.mu.Unlock()
	if answer != nil {
		return answer(stream.Context(), request, func(message proto.Message) error { return stream.SendMsg(message) })
	}
	return stream.SendMsg(dynamicpb.NewMessage(method.Output()))
}

// last is the newest call, which must be there.
func (f *fake) last(t *testing.T) call {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) == 0 {
		t.Fatal("the server was not called")
	}
	return f.calls[len(f.calls)-1]
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls)
}

// gateway is a running gateway before a fake server.
type gateway struct {
	t       *testing.T
	handler *Server
	http    *httptest.Server
	log     *safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newGateway(t *testing.T, server string, options Options) *gateway {
	t.Helper()
	connection, err := Connect(&settings.Settings{Server: server})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	g := &gateway{t: t, log: &safeBuffer{}}
	options.Log = slog.New(slog.NewTextHandler(g.log, nil))
	if options.OpenAfter == 0 {
		options.OpenAfter = 20 * time.Millisecond
	}
	if g.handler, err = New(connection, options); err != nil {
		t.Fatal(err)
	}
	g.http = httptest.NewServer(g.handler)
	t.Cleanup(g.http.Close)
	t.Cleanup(g.handler.Stop)
	return g
}

func pair(t *testing.T) (*gateway, *fake) {
	t.Helper()
	f := newFake(t)
	return newGateway(t, f.address, Options{}), f
}

// reply is an answer read whole.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	text   string
}

// request sends one with a token; headers come in pairs, and an empty value takes one away.
func (g *gateway) request(method, path, body string, headers ...string) reply {
	g.t.Helper()
	response := g.open(context.Background(), method, path, body, headers...)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return reply{g.t, response.StatusCode, response.Header, string(text)}
}

func (g *gateway) open(ctx context.Context, method, path, body string, headers ...string) *http.Response {
	g.t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, g.http.URL+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer test-token")
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			request.Header.Del(headers[i])
		} else {
			request.Header.Add(headers[i], headers[i+1])
		}
	}
	response, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}).Do(request)
	if err != nil {
		g.t.Fatal(err)
	}
	return response
}

func (r reply) want(status int) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, not %d: %s", r.status, status, r.text)
	}
	return r
}

// json checks that the whole answer is this JSON.
func (r reply) json(want string) {
	r.t.Helper()
	if got := normal(r.t, r.text); got != normal(r.t, want) {
		r.t.Fatalf("answered\n%s\nnot\n%s", got, normal(r.t, want))
	}
	if kind := r.header.Get("Content-Type"); kind != "application/json" {
		r.t.Fatalf("content type %q", kind)
	}
}

// refused checks an error's envelope, and gives its sentence and details.
func (r reply) refused(status int, code string) (string, []map[string]string) {
	r.t.Helper()
	r.want(status)
	var answer struct {
		Success *bool
		Error   string
		Code    string
		Details []map[string]string
	}
	decoder := json.NewDecoder(strings.NewReader(r.text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&answer); err != nil {
		r.t.Fatalf("%v: %s", err, r.text)
	}
	if answer.Success == nil || *answer.Success || answer.Code != code || answer.Error == "" || answer.Details == nil {
		r.t.Fatalf("no error with code %s: %s", code, r.text)
	}
	if kind := r.header.Get("Content-Type"); kind != "application/json" {
		r.t.Fatalf("content type %q", kind)
	}
	return answer.Error, answer.Details
}

func normal(t *testing.T, text string) string {
	t.Helper()
	var value any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func lineOf(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("%v after %q", err, line)
	}
	return strings.TrimSuffix(line, "\n")
}

// waitFor gives up after a time that only a broken program needs.
func waitFor(t *testing.T, what string, event <-chan struct{}) {
	t.Helper()
	select {
	case <-event:
	case <-time.After(30 * time.Second):
		t.Fatal("waited in vain for " + what)
	}
}
