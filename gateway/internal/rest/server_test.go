package rest

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"

	pb "github.com/mosaajii/backup/gateway/internal/gen/backupv1"
)

func TestServerAwayThenBack(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	g := newGateway(t, address, Options{})
	g.request("GET", "/healthz", "", "Authorization", "").want(200).json(`{"success":true,"data":{"status":"ok"}}`)
	g.request("GET", "/readyz", "", "Authorization", "").refused(503, "UNAVAILABLE")
	sentence, _ := g.request("GET", "/api/backups", "").refused(503, "UNAVAILABLE")
	if sentence != "the backup server cannot be reached at the moment; try again shortly" {
		t.Fatal(sentence)
	}
	if r := g.request("GET", "/api/backups/alerts/watch", "", "Accept", "text/event-stream"); r.status != 503 || r.header.Get("Retry-After") == "" {
		t.Fatal(r.status, r.header)
	}
	// An EventSource that came back would be lost with any status but 200.
	g.request("GET", "/api/backups/alerts/watch", "", "Accept", "text/event-stream", "Last-Event-ID", "7").want(200)
	g.request("GET", "/api/backups", "", "Accept", "text/event-stream", "Last-Event-ID", "7").refused(503, "UNAVAILABLE")
	f := &fake{answers: map[string]func(context.Context, proto.Message, func(proto.Message) error) error{}}
	f.start(t, address)
	await := func(status int) {
		deadline := time.Now().Add(30 * time.Second)
		for g.request("GET", "/readyz", "").status != status {
			if time.Now().After(deadline) {
				t.Fatalf("never answered %d", status)
			}
		}
	}
	await(200)
	g.request("GET", "/api/backups", "").want(200)
	f.health.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	if sentence, _ = g.request("GET", "/readyz", "").refused(503, "UNAVAILABLE"); sentence != "the backup server is not serving" {
		t.Fatal(sentence)
	}
	f.stop()
	await(503)
	g.request("GET", "/api/backups", "").refused(503, "UNAVAILABLE")
	f.start(t, address)
	defer f.stop()
	await(200)
	g.request("GET", "/api/backups", "").want(200)
}

func TestSlowServer(t *testing.T) {
	f := newFake(t)
	g := newGateway(t, f.address, Options{CallTimeout: 10 * time.Millisecond})
	f.do("AdminService.GetStatus", func(ctx context.Context, _ proto.Message, _ func(proto.Message) error) error {
		<-ctx.Done()
		return ctx.Err()
	})
	g.request("GET", "/api/status", "", "Grpc-Timeout", "1H").refused(504, "DEADLINE_EXCEEDED")
	// Verifying takes as long as it takes.
	f.do("BackupService.VerifyBackup", func(ctx context.Context, _ proto.Message, send func(proto.Message) error) error {
		if _, limited := ctx.Deadline(); limited {
			t.Error("verifying has a deadline")
		}
		return send(&pb.Verification{Valid: true})
	})
	g.request("POST", "/api/backups/b/verify", "").want(200)
}

func TestUnaryCallEndsWithTheClient(t *testing.T) {
	g, f := pair(t)
	begun, gone := make(chan struct{}), make(chan struct{})
	f.do("BackupService.VerifyBackup", func(ctx context.Context, _ proto.Message, _ func(proto.Message) error) error {
		close(begun)
		<-ctx.Done()
		close(gone)
		return ctx.Err()
	})
	ctx, cancel := context.WithCancel(context.Background())
	// With a body, which the call has no use for: it must be read all the same, or nobody sees the client go.
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.http.URL+"/api/backups/b/verify", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer x")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
		}
	}()
	waitFor(t, "the call", begun)
	cancel()
	waitFor(t, "the end of the call", gone)
	waitFor(t, "the end of the request", ended)
}

func TestTokenGoesThroughUnchangedAndNothingElseDoes(t *testing.T) {
	g, f := pair(t)
	g.request("GET", "/api/status", "", "Authorization", "", "authorization", "bearer a.b-c_d~+/=", "Grpc-Metadata-X-Mosaajii-Client-Ip", "6.6.6.6",
		"Grpc-Metadata-Authorization", "Bearer evil", "X-Mosaajii-Client-Ip", "6.6.6.6", "X-Forwarded-For", "6.6.6.6",
		"X-Forwarded-Host", "evil", "Cookie", "a=b", "Grpc-Timeout", "nonsense").want(200)
	seen := f.last(t).metadata
	if strings.Join(seen.Get("authorization"), "|") != "bearer a.b-c_d~+/=" {
		t.Fatal(seen)
	}
	if strings.Join(seen.Get("x-mosaajii-client-ip"), "|") != "127.0.0.1" || strings.Join(seen.Get("x-forwarded-for"), "|") != "127.0.0.1" {
		t.Fatal(seen)
	}
	for name, values := range seen {
		if joined := strings.Join(values, "|"); strings.Contains(joined, "6.6.6.6") || strings.Contains(joined, "evil") || name == "cookie" {
			t.Fatalf("%s: %v", name, values)
		}
	}
	before := f.count()
	for _, wrong := range []string{"Basic YTpi", "Bearer", "Bearer ", "token", "Bearer a b", "Bearer \xff", "Bearer " + strings.Repeat("x", 5000)} {
		r := g.request("GET", "/api/status", "", "Authorization", "", "Authorization", wrong)
		r.refused(401, "UNAUTHENTICATED")
		if !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Bearer") {
			t.Fatal(r.header)
		}
	}
	g.request("GET", "/api/status", "", "Authorization", "").refused(401, "UNAUTHENTICATED")
	g.request("POST", "/api/backups", `{"type":1}`, "Authorization", "").refused(401, "UNAUTHENTICATED")
	g.request("GET", "/api/status", "", "Authorization", "Bearer second").refused(401, "UNAUTHENTICATED")
	if f.count() != before {
		t.Fatal("the server was asked")
	}
}

func TestRequestIDs(t *testing.T) {
	g, f := pair(t)
	r := g.request("GET", "/api/status", "", "X-Request-Id", "pos-42.a_B").want(200)
	if r.header.Get("X-Request-Id") != "pos-42.a_B" || f.last(t).metadata.Get("x-request-id")[0] != "pos-42.a_B" {
		t.Fatal(r.header, f.last(t).metadata)
	}
	if !strings.Contains(g.log.String(), "request_id=pos-42.a_B") {
		t.Fatal(g.log.String())
	}
	for _, wrong := range []string{"a b", "x\"y", strings.Repeat("x", 65), "ä"} {
		r = g.request("GET", "/api/nothing", "", "X-Request-Id", wrong)
		if id := r.header.Get("X-Request-Id"); id == wrong || len(id) != 32 {
			t.Fatalf("%q: %q", wrong, id)
		}
	}
}

func TestClientAddress(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct{ peer, forwarded, want string }{
		{"192.0.2.1:1", "6.6.6.6", "192.0.2.1"},
		{"10.0.0.1:1", "", "10.0.0.1"},
		{"10.0.0.1:1", "192.0.2.7", "192.0.2.7"},
		{"10.0.0.1:1", "6.6.6.6, 192.0.2.7, 10.9.9.9", "192.0.2.7"},
		{"10.0.0.1:1", "192.0.2.7, nonsense", "10.0.0.1"},
		{"10.0.0.1:1", "10.1.1.1,10.2.2.2", "10.1.1.1"},
		{"[::1]:1", "[2001:db8::5]:99", "2001:db8::5"},
		{"[::ffff:10.0.0.1]:1", "192.0.2.7:1234", "192.0.2.7"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := clientOf(r, trusted).String(); got != c.want {
			t.Errorf("%v: %s", c, got)
		}
	}
}

func TestLimits(t *testing.T) {
	g, f := pair(t)
	g.request("POST", "/api/backups", `{"name":"`+strings.Repeat("x", maxBodyBytes)+`"}`).refused(413, "RESOURCE_EXHAUSTED")
	g.request("POST", "/api/backups", `{"name":"`+strings.Repeat("x", maxBodyBytes-100)+`"}`).want(201)
	g.request("POST", "/api/backups/b/verify", strings.Repeat("x", maxBodyBytes+1)).refused(413, "RESOURCE_EXHAUSTED")
	before := f.count()
	g.request("GET", "/api/status", "", "X-Large", strings.Repeat("x", maxHeaderBytes)).refused(431, "RESOURCE_EXHAUSTED")
	g.request("GET", "/api/backups?tags="+strings.Repeat("x", maxHeaderBytes), "").refused(431, "RESOURCE_EXHAUSTED")
	if f.count() != before {
		t.Fatal("the server was asked")
	}
}

// A client that sends all before it reads anything must learn why its body was refused, and not just lose its connection.
func TestLargeBodyIsRefusedInWords(t *testing.T) {
	g, _ := pair(t)
	connection, err := net.Dial("tcp", g.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	const size = 20 << 20
	if _, err = fmt.Fprintf(connection, "POST /api/backups HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size)); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil || response.StatusCode != 413 {
		t.Fatal(err, response)
	}
}

func TestGzipWhereAskedFor(t *testing.T) {
	g, f := pair(t)
	var backups []*pb.Backup
	for range 50 {
		backups = append(backups, &pb.Backup{Id: "b", Name: "the same again"})
	}
	f.on("BackupService.ListBackups", nil, &pb.ListBackupsResponse{Backups: backups})
	plain := g.request("GET", "/api/backups", "").want(200)
	if plain.header.Get("Content-Encoding") != "" {
		t.Fatal(plain.header)
	}
	zipped := g.request("GET", "/api/backups", "", "Accept-Encoding", "gzip").want(200)
	if zipped.header.Get("Content-Encoding") != "gzip" || !strings.Contains(zipped.header.Get("Vary"), "Accept-Encoding") {
		t.Fatal(zipped.header)
	}
	reader, err := gzip.NewReader(strings.NewReader(zipped.text))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(reader); err != nil || string(text) != plain.text {
		t.Fatal(err, string(text))
	}
}

func TestCORSIsOffUnlessOriginsAreNamed(t *testing.T) {
	g, f := pair(t)
	if r := g.request("GET", "/api/status", "", "Origin", "https://pos.example.com").want(200); r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Fatal(r.header)
	}
	g.request("OPTIONS", "/api/backups", "", "Origin", "https://pos.example.com", "Access-Control-Request-Method", "POST").refused(405, "UNIMPLEMENTED")
	open := newGateway(t, f.address, Options{CORSOrigins: []string{"https://pos.example.com"}})
	if r := open.request("GET", "/api/status", "", "Origin", "https://pos.example.com").want(200); r.header.Get("Access-Control-Allow-Origin") != "https://pos.example.com" {
		t.Fatal(r.header)
	}
	if r := open.request("GET", "/api/status", "", "Origin", "https://evil.example.com").want(200); r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Fatal(r.header)
	}
	r := open.request("OPTIONS", "/api/backups", "", "Authorization", "", "Origin", "https://pos.example.com", "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "authorization,content-type").want(204)
	if r.header.Get("Access-Control-Allow-Methods") != "POST" || r.header.Get("Access-Control-Allow-Headers") == "" ||
		r.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Fatal(r.header)
	}
	open.request("OPTIONS", "/api/backups", "").refused(405, "UNIMPLEMENTED")
}

func TestSecurityHeaders(t *testing.T) {
	g, _ := pair(t)
	for _, path := range []string{"/api/status", "/api/nothing", "/api/docs", "/healthz", "/"} {
		r := g.request("GET", path, "")
		if r.header.Get("X-Content-Type-Options") != "nosniff" || r.header.Get("X-Frame-Options") != "DENY" || r.header.Get("Cache-Control") == "" ||
			!strings.Contains(r.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Fatal(path, r.header)
		}
	}
	if r := g.request("GET", "/api/status", ""); r.header.Get("Cache-Control") != "no-store" {
		t.Fatal(r.header)
	}
}

func TestDashboard(t *testing.T) {
	g, f := pair(t)
	before := f.count()
	r := g.request("GET", "/", "", "Authorization", "").want(200)
	if r.header.Get("Content-Type") != "text/html; charset=utf-8" || r.header.Get("Cache-Control") != "no-cache" {
		t.Fatal(r.header)
	}
	policy := r.header.Get("Content-Security-Policy")
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "data:") || strings.Contains(policy, "*") || !strings.Contains(policy, "script-src 'self'") {
		t.Fatal(policy)
	}
	assets := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(r.text, -1)
	if len(assets) < 3 || strings.Contains(r.text, "<style") || strings.Contains(r.text, "://") || regexp.MustCompile(`<script[^>]*>[^<]`).MatchString(r.text) {
		t.Fatal(r.text)
	}
	for at := 0; at < len(assets); at++ {
		asset := assets[at]
		one := g.request("GET", asset[1], "", "Authorization", "").want(200)
		lasting := strings.Contains(one.header.Get("Cache-Control"), "immutable")
		if lasting != strings.HasPrefix(asset[1], "/assets/") || one.header.Get("Content-Security-Policy") != policy {
			t.Fatal(asset[1], one.header)
		}
		if strings.HasSuffix(asset[1], ".css") {
			assets = append(assets, regexp.MustCompile(`url\(([^)]+)\)`).FindAllStringSubmatch(one.text, -1)...)
		}
	}
	g.request("GET", "/assets/nothing.js", "").refused(404, "NOT_FOUND")
	g.request("GET", "/index.html", "").refused(404, "NOT_FOUND")
	g.request("POST", "/", "").refused(405, "UNIMPLEMENTED")
	if f.count() != before {
		t.Fatal("the server was asked")
	}
}

func TestDocumentation(t *testing.T) {
	g, _ := pair(t)
	for _, path := range []string{"/api/docs", "/api/docs.js", "/api/docs.css"} {
		if r := g.request("GET", path, "", "Authorization", "").want(200); strings.Contains(r.text, "://") {
			t.Fatalf("%s refers to another host", path)
		}
	}
	var document struct {
		OpenAPI string
		Paths   map[string]map[string]any
	}
	r := g.request("GET", "/api/openapi.json", "", "Authorization", "").want(200)
	if err := json.Unmarshal([]byte(r.text), &document); err != nil || document.OpenAPI == "" {
		t.Fatal(err, document.OpenAPI)
	}
	operations := 0
	for _, methods := range document.Paths {
		operations += len(methods)
	}
	// Beside the routes: health, readiness, and the two of the session.
	if want := len(g.handler.table.All()) + 4; operations != want {
		t.Fatalf("%d operations are documented, not %d", operations, want)
	}
	committed, err := os.ReadFile("../../../docs/api/openapi.json")
	if err != nil || string(committed) != r.text {
		t.Fatal("docs/api/openapi.json is not what proto/ makes; gateway/build.sh --docs renews it", err)
	}
}

func TestOneLogLineARequest(t *testing.T) {
	g, _ := pair(t)
	g.request("GET", "/api/backups/b?x=y", "", "X-Request-Id", "r1").want(200)
	g.request("POST", "/api/backups", `{"type":"x"}`, "X-Request-Id", "r2")
	lines := strings.Split(strings.TrimSpace(g.log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "method=GET path=/api/backups/b status=200") || !strings.Contains(lines[0], "call=BackupService.GetBackup") ||
		!strings.Contains(lines[1], "status=400") || !strings.Contains(lines[1], "code=INVALID_ARGUMENT") {
		t.Fatal(lines)
	}
}
