package rest

import (
	"context"
	"embed"
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/mosaajii/backup/gateway/internal/dashboard"
	"github.com/mosaajii/backup/gateway/internal/gen"
)

//go:embed page
var page embed.FS

// docs are the files of the page that shows the OpenAPI document.
var docs = map[string]struct{ file, contentType string }{
	"/api/docs":     {"page/docs.html", "text/html; charset=utf-8"},
	"/api/docs.js":  {"page/docs.js", "text/javascript; charset=utf-8"},
	"/api/docs.css": {"page/docs.css", "text/css; charset=utf-8"},
}

// A page runs its own scripts and asks its own gateway; whatever else gets into it can do nothing.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// staticFiles gives the dashboard and the page of the documentation by path.
func staticFiles() (map[string]dashboard.File, error) {
	files, err := dashboard.Files()
	if err != nil {
		return nil, err
	}
	for path, one := range docs {
		content, err := page.ReadFile(one.file)
		if err != nil {
			return nil, err
		}
		files[path] = dashboard.File{Content: content, ContentType: one.contentType}
	}
	return files, nil
}

func (s *Server) isStatic(path string) bool {
	switch path {
	case "/healthz", "/readyz", "/api/openapi.json":
		return true
	}
	_, ok := s.files[path]
	return ok
}

func (s *Server) serveStatic(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; path {
	case "/healthz":
		writeJSON(w, `{"success":true,"data":{"status":"ok"}}`)
	case "/readyz":
		s.ready(w, r)
	case "/api/openapi.json":
		w.Header().Set("Cache-Control", "no-cache")
		writeJSON(w, gen.OpenAPI)
	default:
		file := s.files[path]
		header := w.Header()
		header.Set("Cache-Control", "no-cache")
		if file.Lasting {
			header.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		header.Set("Content-Type", file.ContentType)
		header.Set("Content-Security-Policy", pagePolicy)
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		_, _ = w.Write(file.Content)
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
