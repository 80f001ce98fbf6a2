// Package dashboard holds the files of the dashboard, which Vite builds from gateway/web.
package dashboard

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed all:dist
var dist embed.FS

// File is one file of the dashboard.
type File struct {
	Content     []byte
	ContentType string
	// Its name changes with its content, so that it may be kept for ever.
	Lasting bool
}

var types = map[string]string{
	".html":  "text/html; charset=utf-8",
	".js":    "text/javascript; charset=utf-8",
	".css":   "text/css; charset=utf-8",
	".svg":   "image/svg+xml",
	".woff2": "font/woff2",
}

// Files gives all of them by the path they are served at.
func Files() (map[string]File, error) {
	files := map[string]File{}
	err := fs.WalkDir(dist, "dist", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		kind := types[path.Ext(name)]
		if kind == "" {
			return fmt.Errorf("no content type is known for %s", name)
		}
		content, err := dist.ReadFile(name)
		if err != nil {
			return err
		}
		at := strings.TrimPrefix(name, "dist")
		if at == "/index.html" {
			at = "/"
		}
		files[at] = File{content, kind, strings.HasPrefix(at, "/assets/")}
		return nil
	})
	return files, err
}
