package rest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/mosaajii/backup/gateway/internal/routes"
)

// info is what is known of a request; one goroutine at a time uses it.
type info struct {
	server    *Server
	requestID string
	client    netip.Addr
	route     *routes.Route
	// Canonical code name and sentence of what went wrong.
	code, problem string
}

type infoKey struct{}

func withInfo(ctx context.Context, i *info) context.Context {
	return context.WithValue(ctx, infoKey{}, i)
}

func infoOf(ctx context.Context) *info {
	if i, ok := ctx.Value(infoKey{}).(*info); ok {
		return i
	}
	return &info{}
}

// requestIDOf takes the client's id where it is one, as the server would, else makes one.
func requestIDOf(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	fine := len(id) >= 1 && len(id) <= 64
	for _, c := range []byte(id) {
		fine = fine && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-", c) >= 0)
	}
	if fine {
		return id
	}
	var random [16]byte
	_, _ = rand.Read(random[:])
	return hex.EncodeToString(random[:])
}

// clientOf is the address the request came from: the peer's, or, where the peer is a trusted proxy, the last one in X-Forwarded-For that
// is not. What a client itself wrote into that header is never reached.
func clientOf(r *http.Request, trusted []netip.Prefix) netip.Addr {
	client := parseAddress(r.RemoteAddr)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && contains(trusted, client); i-- {
		next := parseAddress(strings.TrimSpace(hops[i]))
		if !next.IsValid() {
			break
		}
		client = next
	}
	return client
}

// parseAddress takes an address with or without a port.
func parseAddress(text string) netip.Addr {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return address.Unmap().WithZone("")
}

func contains(networks []netip.Prefix, address netip.Addr) bool {
	for _, network := range networks {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// recorder notes what is answered, and lets a client that no longer reads hold a connection for a limited time only.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// A client takes at least something in this time, or is gone.
const writeTimeout = time.Minute

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
		w.extend()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
		w.extend()
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// extend is no error where the connection knows no deadlines, as in tests.
func (w *recorder) extend() {
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(writeTimeout))
}
