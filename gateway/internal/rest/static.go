package rest

import (
	"context"
	"embed"
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/mosaajii/backup/gateway/internal/gen"
)

//go:embed page
var page embed.FS

// pages are the files of the page that shows the OpenAPI document.
var pages = map[string]struct{ file, contentType string }{
	"/api/docs":     {"page/docs.html", "text/html; charset=utf-8"},
	"/api/docs.js":  {"page/docs.js", "text/javascript; charset=utf-8"},
	"/api/docs.css": {"page/docs.css", "text/css; charset=utf-8"},
}

func isStatic(path string) bool {
	switch path {
	case "/", "/healthz", "/readyz", "/api/openapi.json":
		return true
	}
	_, ok := pages[path]
	return ok
}

func (s *Server) serveStatic(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; path {
	case "/":
		http.Redirect(w, r, "/api/docs", http.StatusFound)
	case "/healthz":
		writeJSON(w, `{"success":true,"data":{"status":"ok"}}`)
	case "/readyz":
		s.ready(w, r)
	case "/api/openapi.json":
		w.Header().Set("Cache-Control", "no-cache")
		writeJSON(w, gen.OpenAPI)
	default:
		content, err := page.ReadFile(pages[path].file)
		if err != nil {
			fail(codes.Internal, "internal error").write(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Content-Type", pages[path].contentType)
		w.Header().Set("Content-Security-Policy",
			"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		_, _ = w.Write(content)
	}
}

// ready says whether the server behind is there and serves.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	answer, err := s.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	switch {
	case err != nil:
		fail(codes.Unavailable, fromCall(err).message).write(w, r)
	case answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING:
		fail(codes.Unavailable, "the backup server is "+strings.ToLower(strings.ReplaceAll(answer.GetStatus().String(), "_", " "))).write(w, r)
	default:
		writeJSON(w, `{"success":true,"data":{"status":"SERVING"}}`)
	}
}

func writeJSON(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(text))
}
