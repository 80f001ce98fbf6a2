package rest

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/mosaajii/backup/gateway/internal/gen/backupv1"
)

// session opens one and gives its cookie.
func (g *gateway) session(headers ...string) *http.Cookie {
	g.t.Helper()
	response := g.open(context.Background(), "POST", "/api/session", "", headers...)
	defer response.Body.Close()
	if response.StatusCode != 200 || len(response.Cookies()) != 1 {
		g.t.Fatal(response.Status, response.Cookies())
	}
	return response.Cookies()[0]
}

func TestSessionLetsAnEventSourceWatch(t *testing.T) {
	g, f := pair(t)
	f.on("BackupService.WatchBackup", nil, event(1))
	cookie := g.session("Authorization", "", "Authorization", "Bearer a.b-c_d~+/=")
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/api" || cookie.Domain != "" || cookie.MaxAge != 0 || cookie.Secure {
		t.Fatal(cookie)
	}
	if asked := f.last(t); asked.name != "BackupService.ListBackups" || asked.metadata.Get("authorization")[0] != "Bearer a.b-c_d~+/=" ||
		asked.metadata.Get("x-mosaajii-client-ip")[0] != "127.0.0.1" || len(asked.metadata.Get("x-request-id")) != 1 {
		t.Fatal(asked)
	}
	sent := cookie.Name + "=" + cookie.Value
	g.request("GET", "/api/backups/b/watch", "", "Authorization", "", "Cookie", sent, "Sec-Fetch-Site", "same-origin").want(200)
	if seen := f.last(t); seen.name != "BackupService.WatchBackup" || strings.Join(seen.metadata.Get("authorization"), "|") != "Bearer a.b-c_d~+/=" {
		t.Fatal(seen)
	}
	g.request("GET", "/api/backups/b/watch", "", "Cookie", sent).want(200)
	if seen := f.last(t); strings.Join(seen.metadata.Get("authorization"), "|") != "Bearer test-token" {
		t.Fatal("the header does not come first", seen.metadata)
	}
	before := f.count()
	for _, site := range []string{"same-site", "cross-site", "none"} {
		g.request("GET", "/api/backups/b/watch", "", "Authorization", "", "Cookie", sent, "Sec-Fetch-Site", site).refused(401, "UNAUTHENTICATED")
	}
	g.request("GET", "/api/backups/b/watch", "", "Authorization", "", "Cookie", cookie.Name+"=a b").refused(401, "UNAUTHENTICATED")
	// By itself only for what an EventSource can ask for: nothing that changes anything, and no content.
	for _, other := range [][2]string{{"GET", "/api/backups"}, {"GET", "/api/backups/b/content?path=x"}, {"POST", "/api/backups"},
		{"DELETE", "/api/backups/b"}, {"POST", "/api/session"}} {
		g.request(other[0], other[1], "", "Authorization", "", "Cookie", sent, "Sec-Fetch-Site", "same-origin").refused(401, "UNAUTHENTICATED")
	}
	// A page of another origin, and a page that means a session of its own by the token.
	g.request("DELETE", "/api/backups/b", "", "Authorization", "", "Cookie", sent, "Sec-Fetch-Site", "same-site", "X-Mosaajii-Session", "1").
		refused(401, "UNAUTHENTICATED")
	g.request("POST", "/api/session", "", "Authorization", "", "Cookie", sent, "X-Mosaajii-Session", "1").refused(401, "UNAUTHENTICATED")
	// In an address a token would stand in the logs of every proxy.
	g.request("GET", "/api/backups/b/watch?access_token=secret", "", "Authorization", "").refused(401, "UNAUTHENTICATED")
	if f.count() != before {
		t.Fatalf("the server was asked: %v", f.last(t).name)
	}
	if strings.Contains(g.log.String(), "a.b-c_d") || strings.Contains(g.log.String(), "test-token") {
		t.Fatal("a token stands in the log")
	}
}

// The dashboard never has the token itself after its user has signed in.
func TestSessionStandsForTheTokenWhereThePageSaysSo(t *testing.T) {
	f := newFake(t)
	g := newGateway(t, f.address, Options{CORSOrigins: []string{"https://pos.example"}})
	sent := sessionCookie + "=" + g.session().Value
	for _, site := range []string{"same-origin", ""} {
		for _, call := range [][3]string{{"GET", "/api/backups", "BackupService.ListBackups"}, {"DELETE", "/api/backups/b", "BackupService.DeleteBackup"},
			{"POST", "/api/backups", "BackupService.CreateBackup"}, {"GET", "/api/audit", "AdminService.ListAuditEntries"}} {
			body := map[bool]string{true: `{"type":"FULL"}`}[call[0] == "POST"]
			r := g.request(call[0], call[1], body, "Authorization", "", "Cookie", sent, "Sec-Fetch-Site", site, "X-Mosaajii-Session", "1")
			if seen := f.last(t); r.status >= 300 || seen.name != call[2] || strings.Join(seen.metadata.Get("authorization"), "|") != "Bearer test-token" {
				t.Fatal(call, r.status, seen)
			}
		}
	}
	// No page of another origin is ever allowed to set the header.
	r := g.request("OPTIONS", "/api/backups/b", "", "Authorization", "", "Origin", "https://pos.example", "Access-Control-Request-Method", "DELETE",
		"Access-Control-Request-Headers", "x-mosaajii-session")
	if r.header.Get("Access-Control-Allow-Origin") != "" || r.header.Get("Access-Control-Allow-Headers") != "" {
		t.Fatal(r.header)
	}
	r = g.request("OPTIONS", "/api/backups/b", "", "Authorization", "", "Origin", "https://pos.example", "Access-Control-Request-Method", "DELETE",
		"Access-Control-Request-Headers", "authorization")
	if r.header.Get("Access-Control-Allow-Origin") != "https://pos.example" {
		t.Fatal(r.header)
	}
}

func TestSessionIsForThoseWhoMayRead(t *testing.T) {
	g, f := pair(t)
	refused := func(code codes.Code, httpStatus int, name string) {
		t.Helper()
		f.on("BackupService.ListBackups", status.Error(code, "no"))
		r := g.request("POST", "/api/session", "")
		r.refused(httpStatus, name)
		if r.header.Get("Set-Cookie") != "" {
			t.Fatal(r.header)
		}
	}
	refused(codes.Unauthenticated, 401, "UNAUTHENTICATED")
	refused(codes.PermissionDenied, 403, "PERMISSION_DENIED")
	refused(codes.Unavailable, 503, "UNAVAILABLE")
	f.on("BackupService.ListBackups", nil, &pb.ListBackupsResponse{})
	before := f.count()
	g.request("POST", "/api/session", "", "Authorization", "").refused(401, "UNAUTHENTICATED")
	// What no cookie can hold.
	for _, token := range []string{"a;b", `a"b`, "a,b", `a\b`} {
		g.request("POST", "/api/session", "", "Authorization", "", "Authorization", "Bearer "+token).refused(401, "UNAUTHENTICATED")
	}
	g.request("POST", "/api/session", "", "Authorization", "", "Authorization", "Bearer "+strings.Repeat("x", 4000)).refused(400, "INVALID_ARGUMENT")
	g.request("PUT", "/api/session", "").refused(405, "UNIMPLEMENTED")
	if f.count() != before {
		t.Fatal("the server was asked")
	}
}

func TestSessionSaysWhetherItIsOpen(t *testing.T) {
	g, _ := pair(t)
	sent := sessionCookie + "=" + g.session().Value
	g.request("GET", "/api/session", "", "Authorization", "").want(200).json(`{"success":true,"data":{"open":false}}`)
	g.request("GET", "/api/session", "", "Authorization", "", "Cookie", sent).want(200).json(`{"success":true,"data":{"open":true}}`)
	g.request("GET", "/api/session", "", "Authorization", "", "Cookie", sent, "Sec-Fetch-Site", "cross-site").want(200).
		json(`{"success":true,"data":{"open":false}}`)
}

func TestSessionEnds(t *testing.T) {
	g, _ := pair(t)
	r := g.request("DELETE", "/api/session", "", "Authorization", "").want(200)
	r.json(`{"success":true,"message":"the session has ended"}`)
	if set := r.header.Get("Set-Cookie"); !strings.Contains(set, "mosaajii_session=;") || !strings.Contains(set, "Max-Age=0") || !strings.Contains(set, "Path=/api;") {
		t.Fatal(set)
	}
}

// A cookie that was given over TLS must never go over a connection without.
func TestSessionCookieIsSecureBehindTLS(t *testing.T) {
	f := newFake(t)
	trusting := newGateway(t, f.address, Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if !trusting.session("X-Forwarded-Proto", "https").Secure {
		t.Fatal("not secure behind a proxy with TLS")
	}
	if trusting.session("X-Forwarded-Proto", "http").Secure {
		t.Fatal("secure behind a proxy without TLS: a browser would drop it")
	}
	if newGateway(t, f.address, Options{}).session("X-Forwarded-Proto", "https").Secure {
		t.Fatal("anybody's word is taken")
	}
}
