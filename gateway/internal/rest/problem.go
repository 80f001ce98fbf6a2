package rest

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mosaajii/backup/gateway/internal/wire"
)

// problem is an answer that is no success.
type problem struct {
	status  int
	code    codes.Code
	message string
	details []wire.Violation
}

// fail makes a problem with the status that gRPC maps its code to.
func fail(c codes.Code, message string) *problem {
	return &problem{status: runtime.HTTPStatusFromCode(c), code: c, message: message}
}

func invalid(violations []wire.Violation) *problem {
	p := fail(codes.InvalidArgument, violations[0].Description)
	for _, violation := range violations {
		if violation.Field != "" {
			p.details = append(p.details, violation)
		}
	}
	return p
}

func codeName(c codes.Code) string {
	if name, ok := code.Code_name[int32(c)]; ok {
		return name
	}
	return "UNKNOWN"
}

// fromCall makes a problem of what a call ended with.
func fromCall(err error) *problem {
	s := status.Convert(err)
	p := fail(s.Code(), s.Message())
	if _, known := code.Code_name[int32(s.Code())]; !known {
		p = fail(codes.Unknown, s.Message())
	}
	if p.message == "" {
		p.message = strings.ToLower(strings.ReplaceAll(codeName(p.code), "_", " "))
	}
	for _, detail := range s.Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, violation := range bad.GetFieldViolations() {
				p.details = append(p.details, wire.Violation{Field: violation.GetField(), Description: violation.GetDescription()})
			}
		}
	}
	return p
}

func (p *problem) json() []byte {
	b := append([]byte(nil), `{"success":false,"error":`...)
	b = wire.AppendString(b, p.message)
	b = append(b, `,"code":`...)
	b = wire.AppendString(b, codeName(p.code))
	b = append(b, `,"details":[`...)
	for i, detail := range p.details {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"field":`...)
		b = wire.AppendString(b, detail.Field)
		b = append(b, `,"description":`...)
		b = wire.AppendString(b, detail.Description)
		b = append(b, '}')
	}
	return append(b, "]}"...)
}

func (p *problem) write(w http.ResponseWriter, r *http.Request) {
	info := infoOf(r.Context())
	info.code, info.problem = codeName(p.code), p.message
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Del("Content-Disposition")
	switch p.status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Bearer realm="mosaajii"`)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		header.Set("Retry-After", "2")
	}
	body := p.json()
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.status)
	// Nobody is left to be told when the client is gone.
	_, _ = w.Write(body)
}
