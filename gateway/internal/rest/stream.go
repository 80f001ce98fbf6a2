package rest

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/mosaajii/backup/gateway/internal/gen/backupv1"
	"github.com/mosaajii/backup/gateway/internal/shape"
	"github.com/mosaajii/backup/gateway/internal/wire"
)

// errStopping is why streams end when the gateway does.
var errStopping = errors.New("the gateway is stopping")

// How long a stream waits for its first event, or for a refusal, before it says that it is one.
const openAfter = time.Second

// A silent SSE stream says this often that it is alive, to proxies as well.
const heartbeatEvery = 15 * time.Second

type received struct {
	message proto.Message
	err     error
}

// stream writes one stream of messages.
type stream struct {
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	form    form
	opened  bool
	events  int
	buffer  []byte
}

// form is how the messages of a stream are written.
type form interface {
	contentType() string
	// opening comes before the first message.
	opening() []byte
	message(b []byte, message protoreflect.Message) []byte
	// silence comes while nothing happens; nil: nothing.
	silence() []byte
	// failure comes where the stream breaks off after it was opened; nil: the connection is cut, so that nobody takes a part for all.
	failure(p *problem) []byte
}

func init() { backupv1.SetForward(forward) }

// forward takes the place of the runtime's own writer of streams.
func forward(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request,
	receive func() (proto.Message, error), _ ...func(context.Context, http.ResponseWriter, proto.Message) error) {
	s := infoOf(ctx).server
	out := &stream{w: w, r: r, control: http.NewResponseController(w), form: formOf(r)}
	messages := make(chan received)
	// Ends with the call, whose context ends when this function has returned.
	go func() {
		for {
			message, err := receive()
			select {
			case messages <- received{message, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	timer := time.NewTimer(s.openAfter)
	defer timer.Stop()
	for {
		select {
		case next := <-messages:
			if next.err != nil {
				out.finish(ctx, next.err)
				return
			}
			out.events++
			out.buffer = out.form.message(out.buffer[:0], next.message.ProtoReflect())
			if !out.write(out.buffer) {
				return
			}
		case <-timer.C:
			if !out.write(out.form.silence()) {
				return
			}
		case <-ctx.Done():
			out.finish(ctx, ctx.Err())
			return
		}
		timer.Reset(s.heartbeatEvery)
	}
}

// write opens the answer where it is not, and sends the bytes at once. False: nobody reads any more.
func (s *stream) write(b []byte) bool {
	_ = s.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if !s.opened {
		s.opened = true
		s.w.Header().Set("Content-Type", s.form.contentType())
		s.w.Header().Set("X-Accel-Buffering", "no")
		s.w.WriteHeader(http.StatusOK)
		if _, err := s.w.Write(s.form.opening()); err != nil {
			return false
		}
	}
	if _, err := s.w.Write(b); err != nil {
		return false
	}
	return s.control.Flush() == nil
}

func (s *stream) finish(ctx context.Context, err error) {
	if errors.Is(err, io.EOF) {
		// An EventSource comes back after every end. When nothing is left for it, this status makes it stay away.
		if _, sse := s.form.(eventForm); sse && s.events == 0 && !s.opened {
			s.w.WriteHeader(http.StatusNoContent)
			return
		}
		s.write(nil)
		return
	}
	p := fromCall(err)
	if ctx.Err() != nil {
		if !errors.Is(context.Cause(ctx), errStopping) {
			infoOf(ctx).code = codeName(codes.Canceled)
			return
		}
		p = fail(codes.Unavailable, errStopping.Error())
	}
	if !s.opened {
		refuse(s.w, s.r, p)
		return
	}
	infoOf(ctx).code, infoOf(ctx).problem = codeName(p.code), p.message
	last := s.form.failure(p)
	if last == nil {
		panic(http.ErrAbortHandler)
	}
	s.write(last)
}

// refuse answers for a call that failed before anything was answered. An EventSource comes back by itself after a cut, but gives up for good at any
// status but 200; so one that came back is told in an event of what will pass.
func refuse(w http.ResponseWriter, r *http.Request, p *problem) {
	i := infoOf(r.Context())
	passing := p.code == codes.Unavailable || p.code == codes.ResourceExhausted
	if !passing || i.route == nil || !i.route.Watch || !acceptsEvents(r) || r.Header.Get("Last-Event-ID") == "" {
		p.write(w, r)
		return
	}
	i.code, i.problem = codeName(p.code), p.message
	s := &stream{w: w, r: r, control: http.NewResponseController(w), form: eventForm{}}
	s.write(s.form.failure(p))
}

func formOf(r *http.Request) form {
	route := infoOf(r.Context()).route
	switch {
	case route.Kind == shape.Bytes:
		return bytesForm{r}
	case acceptsEvents(r):
		return eventForm{}
	default:
		return lineForm{}
	}
}

func acceptsEvents(r *http.Request) bool {
	for _, header := range r.Header.Values("Accept") {
		for item := range strings.SplitSeq(header, ",") {
			if media, _, err := mime.ParseMediaType(item); err == nil && media == "text/event-stream" {
				return true
			}
		}
	}
	return false
}

// lineForm is newline-delimited JSON.
type lineForm struct{}

func (lineForm) contentType() string { return "application/x-ndjson" }
func (lineForm) opening() []byte     { return nil }
func (lineForm) silence() []byte     { return nil }

func (lineForm) message(b []byte, message protoreflect.Message) []byte {
	return append(wire.AppendMessage(b, message), '\n')
}

func (lineForm) failure(p *problem) []byte { return append(p.json(), '\n') }

// eventForm is server-sent events.
type eventForm struct{}

func (eventForm) contentType() string { return "text/event-stream" }
func (eventForm) opening() []byte     { return []byte("retry: 1000\n\n") }
func (eventForm) silence() []byte     { return []byte(": alive\n\n") }

func (f eventForm) message(b []byte, message protoreflect.Message) []byte {
	fields := message.Descriptor().Fields()
	if kind := fields.ByName("kind"); kind != nil && kind.Enum() != nil {
		if value := kind.Enum().Values().ByNumber(message.Get(kind).Enum()); value != nil && value.Name() == "HEARTBEAT" {
			return append(b, f.silence()...)
		}
	}
	if sequence := fields.ByName("sequence"); sequence != nil && message.Get(sequence).Int() > 0 {
		b = append(b, "id: "...)
		b = strconv.AppendInt(b, message.Get(sequence).Int(), 10)
		b = append(b, '\n')
	}
	b = append(b, "data: "...)
	return append(wire.AppendMessage(b, message), "\n\n"...)
}

func (eventForm) failure(p *problem) []byte {
	b := append([]byte("event: error\ndata: "), p.json()...)
	return append(b, "\n\n"...)
}

// bytesForm is content as it is: a file of a backup, the audit trail.
type bytesForm struct{ r *http.Request }

func (f bytesForm) contentType() string {
	if strings.HasSuffix(f.r.URL.Path, "/audit/export") {
		return "application/x-ndjson"
	}
	return "application/octet-stream"
}

func (bytesForm) opening() []byte         { return nil }
func (bytesForm) silence() []byte         { return nil }
func (bytesForm) failure(*problem) []byte { return nil }

func (bytesForm) message(b []byte, message protoreflect.Message) []byte {
	return append(b, message.Get(message.Descriptor().Fields().ByName("data")).Bytes()...)
}

// disposition names the file that a browser saves raw content as.
func disposition(r *http.Request, query url.Values) string {
	name := path.Base(query.Get("path"))
	if strings.HasSuffix(r.URL.Path, "/audit/export") {
		name = "audit.jsonl"
	}
	return mime.FormatMediaType("attachment", map[string]string{"filename": name})
}
