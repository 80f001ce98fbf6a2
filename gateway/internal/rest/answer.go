package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/mosaajii/backup/gateway/internal/shape"
	"github.com/mosaajii/backup/gateway/internal/wire"
)

// envelope is a finished answer; the marshaler takes it as it is.
type envelope []byte

// succeed puts the answer of a call into the form its route has.
func succeed(ctx context.Context, response proto.Message) (any, error) {
	route := infoOf(ctx).route
	message := response.ProtoReflect()
	b := []byte(`{"success":true,`)
	switch route.Kind {
	case shape.Message:
		b = append(b, `"message":`...)
		b = wire.AppendString(b, message.Get(message.Descriptor().Fields().ByName("message")).String())
	case shape.List:
		b = append(b, `"data":`...)
		b = wire.AppendField(b, route.List, message.Get(route.List))
		b = append(b, `,"pagination":{"nextPageToken":`...)
		next := ""
		if field := message.Descriptor().Fields().ByName("next_page_token"); field != nil {
			next = message.Get(field).String()
		}
		b = append(wire.AppendString(b, next), '}')
	default:
		b = append(b, `"data":`...)
		b = wire.AppendMessage(b, message)
	}
	return envelope(append(b, '}')), nil
}

// setStatus says 201 where a record was made.
func setStatus(ctx context.Context, w http.ResponseWriter, response proto.Message) error {
	if route := infoOf(ctx).route; response != nil && route.Status != http.StatusOK {
		w.WriteHeader(route.Status)
	}
	return nil
}

// marshaler reads bodies leniently, once they have been checked, and writes finished envelopes.
type marshaler struct{ runtime.JSONPb }

func newMarshaler() *marshaler {
	return &marshaler{runtime.JSONPb{UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: true}}}
}

func (*marshaler) ContentType(any) string { return "application/json" }

func (*marshaler) Marshal(v any) ([]byte, error) {
	if finished, ok := v.(envelope); ok {
		return finished, nil
	}
	return nil, fmt.Errorf("no JSON form of %T", v)
}

func (m *marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	inner := m.JSONPb.NewDecoder(r)
	return runtime.DecoderFunc(func(v any) error {
		err := inner.Decode(v)
		if err == nil || errors.Is(err, io.EOF) {
			return err
		}
		// What the check of the body lets pass and protojson does not is a text with half a surrogate pair.
		return errors.New("the body is not valid JSON: a text in it is no valid Unicode")
	})
}

// queryParser reads query strings, which have been checked.
type queryParser struct{}

func (queryParser) Parse(message proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	violations := wire.ParseQuery(message.ProtoReflect(), values, func(name protoreflect.Name) bool {
		return filter.HasCommonPrefix([]string{string(name)})
	})
	if len(violations) > 0 {
		return errors.New(violations[0].Description)
	}
	return nil
}

// The runtime has one parser a process.
func init() { runtime.NewServeMux(runtime.SetQueryParameterParser(queryParser{})) }

// newMux makes the router from HTTP requests to calls. The server has matched the route and checked the request before it is asked.
func newMux() *runtime.ServeMux {
	none := func(string) (string, bool) { return "", false }
	return runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, newMarshaler()),
		runtime.WithForwardResponseRewriter(succeed),
		runtime.WithForwardResponseOption(setStatus),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		// Of the headers, the runtime passes on Authorization only.
		runtime.WithIncomingHeaderMatcher(none),
		runtime.WithOutgoingHeaderMatcher(none),
		runtime.WithOutgoingTrailerMatcher(none),
		runtime.WithMetadata(func(ctx context.Context, _ *http.Request) metadata.MD {
			info := infoOf(ctx)
			return metadata.Pairs("x-request-id", info.requestID, "x-mosaajii-client-ip", info.client.String())
		}),
		runtime.WithErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
			if errors.Is(context.Cause(r.Context()), errStopping) {
				err = status.Error(codes.Unavailable, errStopping.Error())
			}
			refuse(w, r, fromCall(err))
		}),
	)
}
