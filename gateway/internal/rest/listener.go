package rest

import (
	"bytes"
	"fmt"
	"net"
	"net/http"

	"google.golang.org/grpc/codes"
)

// Enveloped makes what the HTTP library refuses by itself, before there is a request for a handler, come in the envelope too. For plain
// HTTP: under TLS the library needs to see its own connection.
func Enveloped(listener net.Listener) net.Listener { return envelopedListener{listener} }

type envelopedListener struct{ net.Listener }

func (l envelopedListener) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	if tcp, ok := connection.(*net.TCPConn); ok {
		return envelopedConn{tcp}, err
	}
	return connection, err
}

type envelopedConn struct{ *net.TCPConn }

// The library writes such a refusal at once, in this form, which no handler of the gateway has.
var (
	refusalBegin  = []byte("HTTP/1.1 ")
	refusalMiddle = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")
)

var refusals = map[int]struct {
	code     codes.Code
	sentence string
}{
	http.StatusRequestHeaderFieldsTooLarge: {codes.ResourceExhausted, fmt.Sprintf("the request's headers are larger than %d bytes", maxHeaderBytes)},
	http.StatusNotImplemented:              {codes.Unimplemented, "the request's Transfer-Encoding is not known; allowed is chunked"},
	http.StatusHTTPVersionNotSupported:     {codes.Unimplemented, "the request's version of HTTP is not spoken here; allowed are 1.0 and 1.1"},
}

func (c envelopedConn) Write(b []byte) (int, error) {
	if !bytes.HasPrefix(b, refusalBegin) || !bytes.Contains(b, refusalMiddle) {
		return c.TCPConn.Write(b)
	}
	status := 0
	if _, err := fmt.Sscanf(string(b[len(refusalBegin):]), "%d", &status); err != nil {
		return c.TCPConn.Write(b)
	}
	refusal, known := refusals[status]
	if !known {
		refusal.code, refusal.sentence = codes.InvalidArgument, "the request is no proper HTTP"
	}
	body := (&problem{status, refusal.code, refusal.sentence, nil}).json()
	_, err := fmt.Fprintf(c.TCPConn, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), len(body), body)
	return len(b), err
}
