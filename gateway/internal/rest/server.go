// Package rest serves the REST API in front of the gRPC server: routes, envelope, streams, limits, documentation and health. It holds no
// secret and decides about nobody: the caller's token goes to the server as it came.
package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/klauspost/compress/gzhttp"
	"github.com/rs/cors"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/mosaajii/backup/gateway/internal/dashboard"
	"github.com/mosaajii/backup/gateway/internal/gen/backupv1"
	"github.com/mosaajii/backup/gateway/internal/routes"
	"github.com/mosaajii/backup/gateway/internal/shape"
	"github.com/mosaajii/backup/gateway/internal/wire"
)

const (
	maxBodyBytes = 1 << 20
	// How much more of a body that is too large is read, and thrown away, before it is refused.
	maxDrainedBytes = 64 << 20
	maxHeaderBytes  = 16 << 10
	maxTokenBytes   = 4 << 10
	maxStreams      = 1024
	callTimeout     = 30 * time.Second
	bodyTimeout     = 30 * time.Second
	readyTimeout    = 2 * time.Second
)

// Options of a server; what is 0 takes its default.
type Options struct {
	Log            *slog.Logger
	TrustedProxies []netip.Prefix
	CORSOrigins    []string
	MaxStreams     int
	CallTimeout    time.Duration
	OpenAfter      time.Duration
	HeartbeatEvery time.Duration
}

// Server is the gateway's HTTP handler.
type Server struct {
	log            *slog.Logger
	trusted        []netip.Prefix
	table          *routes.Table
	mux            http.Handler
	zipped         http.Handler
	static         http.Handler
	files          map[string]dashboard.File
	outer          http.Handler
	health         grpc_health_v1.HealthClient
	backups        backupv1.BackupServiceClient
	streams        chan struct{}
	callTimeout    time.Duration
	openAfter      time.Duration
	heartbeatEvery time.Duration
	stopping       context.Context
	stop           context.CancelFunc
}

// New makes the handler over a connection to the server.
func New(connection *grpc.ClientConn, options Options) (*Server, error) {
	s := &Server{log: options.Log, trusted: options.TrustedProxies, health: grpc_health_v1.NewHealthClient(connection),
		backups: backupv1.NewBackupServiceClient(connection), callTimeout: options.CallTimeout, openAfter: options.OpenAfter, heartbeatEvery: options.HeartbeatEvery}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if options.MaxStreams == 0 {
		options.MaxStreams = maxStreams
	}
	s.streams = make(chan struct{}, options.MaxStreams)
	for value, fallback := range map[*time.Duration]time.Duration{&s.callTimeout: callTimeout, &s.openAfter: openAfter, &s.heartbeatEvery: heartbeatEvery} {
		if *value == 0 {
			*value = fallback
		}
	}
	s.stopping, s.stop = context.WithCancel(context.Background())
	var err error
	if s.table, err = routes.New(); err != nil {
		return nil, err
	}
	if s.files, err = staticFiles(); err != nil {
		return nil, err
	}
	mux := newMux()
	// The router asks the handlers that were registered last first, so alerts come after backups.
	for _, register := range []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		backupv1.RegisterBackupServiceHandler, backupv1.RegisterOffsiteServiceHandler, backupv1.RegisterDisasterRecoveryServiceHandler,
		backupv1.RegisterAdminServiceHandler, backupv1.RegisterAlertServiceHandler,
	} {
		if err = register(s.stopping, mux, connection); err != nil {
			return nil, err
		}
	}
	s.mux = mux
	s.zipped = gzhttp.GzipHandler(mux)
	s.static = gzhttp.GzipHandler(http.HandlerFunc(s.serveStatic))
	s.outer = http.HandlerFunc(s.route)
	// Without origins nothing is allowed; the library would take none for all.
	if len(options.CORSOrigins) > 0 {
		s.outer = cors.New(cors.Options{
			AllowedOrigins: options.CORSOrigins,
			AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
			AllowedHeaders: []string{"Authorization", "Content-Type", "Last-Event-ID", "X-Request-Id"},
			ExposedHeaders: []string{"X-Request-Id", "Retry-After"},
			MaxAge:         600,
		}).Handler(s.outer)
	}
	return s, nil
}

// Stop ends all streams, with a last word to each. New ones are refused.
func (s *Server) Stop() { s.stop() }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	i := &info{server: s, requestID: requestIDOf(r), client: clientOf(r, s.trusted)}
	r = r.WithContext(withInfo(r.Context(), i))
	out := &recorder{ResponseWriter: w}
	header := w.Header()
	header.Set("X-Request-Id", i.requestID)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Cache-Control", "no-store")
	defer func() {
		fault := recover()
		begun := out.status != 0
		if fault != nil && fault != http.ErrAbortHandler {
			s.log.Error("panic", "request_id", i.requestID, "error", fmt.Sprint(fault), "stack", string(debug.Stack()))
			if !begun {
				fail(codes.Internal, "internal error").write(out, r)
			}
		}
		s.logRequest(r, i, out, time.Since(start))
		// The connection is cut, so that nobody takes a part of an answer for all of it.
		if fault != nil && begun {
			panic(http.ErrAbortHandler)
		}
	}()
	if tooLarge(r) {
		(&problem{http.StatusRequestHeaderFieldsTooLarge, codes.ResourceExhausted,
			fmt.Sprintf("the request's headers are larger than %d bytes", maxHeaderBytes), nil}).write(out, r)
		return
	}
	// Nobody holds a connection with a body that never comes; what becomes of the body is decided later. No error where the connection knows
	// no deadlines, as in tests.
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	}
	s.outer.ServeHTTP(out, r)
}

func tooLarge(r *http.Request) bool {
	size := len(r.RequestURI)
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value) + 4
		}
	}
	return size > maxHeaderBytes
}

// logRequest writes one line, without the query string, which may hold a token.
func (s *Server) logRequest(r *http.Request, i *info, out *recorder, took time.Duration) {
	attributes := []slog.Attr{slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", out.status),
		slog.Float64("ms", float64(took.Microseconds())/1000), slog.Int64("bytes", out.bytes),
		slog.String("client", i.client.String()), slog.String("request_id", i.requestID)}
	if i.route != nil {
		attributes = append(attributes, slog.String("call", string(i.route.Call.Parent().Name()+"."+i.route.Call.Name())))
	}
	level := slog.LevelInfo
	if i.code != "" {
		attributes = append(attributes, slog.String("code", i.code))
	}
	if i.problem != "" {
		attributes = append(attributes, slog.String("error", i.problem))
	}
	if out.status >= 500 {
		level = slog.LevelWarn
	}
	s.log.LogAttrs(context.Background(), level, "request", attributes...)
}

func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	if s.isStatic(r.URL.Path) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			notAllowed(w, r, []string{http.MethodGet, http.MethodHead})
			return
		}
		s.static.ServeHTTP(w, r)
		return
	}
	if r.URL.Path == sessionPath {
		s.session(w, r)
		return
	}
	if !utf8.ValidString(r.URL.Path) || strings.ContainsRune(r.URL.Path, 0) {
		fail(codes.InvalidArgument, "the path is not valid UTF-8").write(w, r)
		return
	}
	route, allow := s.table.Find(r.Method, r.URL.Path)
	switch {
	case route != nil:
		infoOf(r.Context()).route = route
		s.call(w, r, route)
	case len(allow) > 0:
		notAllowed(w, r, allow)
	default:
		fail(codes.NotFound, "there is nothing at "+show(r.URL.Path)).write(w, r)
	}
}

func show(path string) string {
	if runes := []rune(path); len(runes) > 100 {
		return string(runes[:100]) + "…"
	}
	return path
}

func notAllowed(w http.ResponseWriter, r *http.Request, allow []string) {
	w.Header().Set("Allow", strings.Join(allow, ", "))
	(&problem{http.StatusMethodNotAllowed, codes.Unimplemented,
		fmt.Sprintf("%s is not possible here; allowed is %s", show(r.Method), strings.Join(allow, ", ")), nil}).write(w, r)
}

// call checks the request and makes the call of its route.
func (s *Server) call(w http.ResponseWriter, r *http.Request, route *routes.Route) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		fail(codes.InvalidArgument, "the query string is not properly escaped").write(w, r)
		return
	}
	header, p := forwarded(r, route)
	if p == nil {
		p = checkQuery(r, route, query)
	}
	if p != nil {
		p.write(w, r)
		return
	}
	body, p := readBody(w, r, route)
	if p != nil {
		p.write(w, r)
		return
	}
	stream := route.Call.IsStreamingServer()
	if stream && s.stopping.Err() != nil {
		refuse(w, r, fail(codes.Unavailable, errStopping.Error()))
		return
	}
	if stream {
		select {
		case s.streams <- struct{}{}:
			defer func() { <-s.streams }()
		default:
			refuse(w, r, fail(codes.ResourceExhausted, fmt.Sprintf("%d streams are open already; try again later", cap(s.streams))))
			return
		}
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	if stream {
		defer context.AfterFunc(s.stopping, func() { cancel(errStopping) })()
	}
	if !route.Unhurried {
		var done context.CancelFunc
		ctx, done = context.WithTimeout(ctx, s.callTimeout)
		defer done()
	}
	// What the generated handlers see is made of what has been checked.
	inner := r.Clone(ctx)
	inner.Header = header
	inner.URL.RawPath = ""
	inner.URL.RawQuery = query.Encode()
	inner.RemoteAddr = net.JoinHostPort(infoOf(ctx).client.String(), "0")
	inner.Body, inner.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if !stream {
		s.zipped.ServeHTTP(w, inner)
		return
	}
	if route.Kind == shape.Bytes {
		w.Header().Set("Content-Disposition", disposition(r, query))
	}
	s.mux.ServeHTTP(w, inner)
}

// forwarded gives the headers that the handlers may see: the token, and what decides about the form of the answer.
func forwarded(r *http.Request, route *routes.Route) (http.Header, *problem) {
	header := http.Header{"Content-Type": {"application/json"}}
	for _, name := range []string{"Accept", "Accept-Encoding", "Last-Event-ID"} {
		if values := r.Header.Values(name); len(values) > 0 {
			header[http.CanonicalHeaderKey(name)] = values
		}
	}
	given := r.Header.Values("Authorization")
	if len(given) == 0 && (route.Watch || r.Header.Get(sessionHeader) != "") {
		given = fromSession(r)
	}
	authorization, p := bearer(given)
	if p != nil {
		return nil, p
	}
	header.Set("Authorization", authorization)
	return header, nil
}

// bearer checks the form of a token; whether it is one only the server knows.
func bearer(given []string) (string, *problem) {
	if len(given) != 1 {
		return "", fail(codes.Unauthenticated, "this call needs the header Authorization: Bearer <token>")
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	fine := strings.EqualFold(scheme, "Bearer") && token != "" && len(token) <= maxTokenBytes
	for _, c := range []byte(token) {
		fine = fine && c > ' ' && c < 0x7f
	}
	if !fine {
		return "", fail(codes.Unauthenticated, "the header Authorization is not of the form Bearer <token>")
	}
	return given[0], nil
}

// checkQuery checks the query string and puts the place to go on from into it.
func checkQuery(r *http.Request, route *routes.Route, query url.Values) *problem {
	if last := r.Header.Get("Last-Event-ID"); route.Watch && last != "" {
		if number, err := strconv.ParseInt(last, 10, 64); err != nil || number < 0 {
			return invalid([]wire.Violation{{Field: "Last-Event-ID",
				Description: "Last-Event-ID is no sequence number; allowed is the id of the last event seen"}})
		}
		query.Del("after_sequence")
		query.Set("afterSequence", last)
	}
	if !route.Query {
		return nil
	}
	input, err := protoregistry.GlobalTypes.FindMessageByName(route.Call.Input().FullName())
	if err != nil {
		return fail(codes.Internal, "internal error")
	}
	violations := wire.ParseQuery(input.New(), query, func(name protoreflect.Name) bool {
		return strings.Contains(route.Template, "{"+string(name)+"}")
	})
	if len(violations) > 0 {
		return invalid(violations)
	}
	return nil
}

// readBody reads the body, and checks it where the route has one. It is read to its end in any case: only then does the connection tell
// when the client goes away.
func readBody(w http.ResponseWriter, r *http.Request, route *routes.Route) ([]byte, *problem) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		// Many clients read nothing before they have sent all. The read deadline holds here too.
		_, _ = io.CopyN(io.Discard, r.Body, maxDrainedBytes)
		return nil, &problem{http.StatusRequestEntityTooLarge, codes.ResourceExhausted,
			fmt.Sprintf("the body is larger than %d bytes", maxBodyBytes), nil}
	case err != nil:
		return nil, fail(codes.InvalidArgument, "the body ended too early")
	}
	// From here on the call may take longer.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	if route.Body == nil || len(body) == 0 {
		return nil, nil
	}
	if p := checkKind(r.Header); p != nil {
		return nil, p
	}
	if violations := wire.CheckBody(route.Body, body); len(violations) > 0 {
		return nil, invalid(violations)
	}
	if trimmed := bytes.TrimSpace(body); bytes.Equal(trimmed, []byte("null")) {
		body = nil
	}
	return body, nil
}

// checkKind says whether the headers of a body are those of plain JSON; who does not say what it is means JSON.
func checkKind(header http.Header) *problem {
	wrong := func(name, allowed string) *problem {
		return &problem{http.StatusUnsupportedMediaType, codes.InvalidArgument,
			fmt.Sprintf("the body's %s is \"%s\"; allowed is %s", name, show(header.Get(name)), allowed), nil}
	}
	if coding := header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return wrong("Content-Encoding", "none")
	}
	if kind := header.Get("Content-Type"); kind != "" {
		media, _, err := mime.ParseMediaType(kind)
		if err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
			return wrong("Content-Type", "application/json")
		}
	}
	return nil
}
