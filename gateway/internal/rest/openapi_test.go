package rest

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/mosaajii/backup/gateway/internal/gen"
	"github.com/mosaajii/backup/gateway/internal/shape"
	"github.com/mosaajii/backup/gateway/internal/wire"
)

// filled makes a message with every field set.
func filled(descriptor protoreflect.MessageDescriptor) *dynamicpb.Message {
	message := dynamicpb.NewMessage(descriptor)
	if descriptor.FullName() == "google.protobuf.Timestamp" {
		message.Set(descriptor.Fields().ByName("seconds"), protoreflect.ValueOfInt64(1767225600))
		message.Set(descriptor.Fields().ByName("nanos"), protoreflect.ValueOfInt32(1))
		return message
	}
	for i := range descriptor.Fields().Len() {
		field := descriptor.Fields().Get(i)
		switch {
		case field.IsMap():
			message.Mutable(field).Map().Set(protoreflect.ValueOfString("k").MapKey(), protoreflect.ValueOfString("v"))
		case field.IsList():
			message.Mutable(field).List().Append(filledValue(field))
		default:
			message.Set(field, filledValue(field))
		}
	}
	return message
}

func filledValue(field protoreflect.FieldDescriptor) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("te\"xt\u2028\x01ü")
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{0, 255})
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(field.Enum().Values().Get(field.Enum().Values().Len() - 1).Number())
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(-1.5e-9)
	case protoreflect.MessageKind:
		return protoreflect.ValueOfMessage(filled(field.Message()))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(-1 << 31)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(1<<32 - 1)
	default:
		return protoreflect.ValueOfInt64(-1 << 63)
	}
}

type documented struct {
	t        *testing.T
	compiler *jsonschema.Compiler
	root     map[string]any
}

func newDocumented(t *testing.T) *documented {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(gen.OpenAPI))
	if err != nil {
		t.Fatal(err)
	}
	d := &documented{t, jsonschema.NewCompiler(), value.(map[string]any)}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	if err = d.compiler.AddResource("api.json", value); err != nil {
		t.Fatal(err)
	}
	return d
}

var escapePointer = strings.NewReplacer("~", "~0", "/", "~1")

func pointer(parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteString("/" + escapePointer.Replace(part))
	}
	return b.String()
}

// check says whether the answer is one that the document announces.
func (d *documented) check(method, template string, r reply, media string) {
	d.t.Helper()
	responses := d.root["paths"].(map[string]any)[template].(map[string]any)[strings.ToLower(method)].(map[string]any)["responses"].(map[string]any)
	code := strconv.Itoa(r.status)
	if responses[code] == nil {
		code = "default"
	}
	at := pointer("paths", template, strings.ToLower(method), "responses", code)
	response := responses[code].(map[string]any)
	if ref, ok := response["$ref"].(string); ok {
		at = strings.TrimPrefix(ref, "#")
	}
	schema, err := d.compiler.Compile("api.json#" + at + pointer("content", media, "schema"))
	if err != nil {
		d.t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(r.text), "\n") {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			d.t.Fatalf("%s %s: %v: %s", method, template, err, line)
		}
		if err = schema.Validate(value); err != nil {
			d.t.Errorf("%s %s: %v\n%s", method, template, err, line)
		}
	}
}

func TestAnswersAreThoseOfTheDocument(t *testing.T) {
	g, f := pair(t)
	d := newDocumented(t)
	for _, route := range g.handler.table.All() {
		if route.Kind == shape.Bytes {
			continue
		}
		template := parameter.ReplaceAllStringFunc(route.Template, func(match string) string {
			message, name := route.Call.Input(), ""
			for part := range strings.SplitSeq(strings.Trim(match, "{}"), ".") {
				field := message.Fields().ByName(protoreflect.Name(part))
				if name != "" {
					name += strings.ToUpper(field.JSONName()[:1]) + field.JSONName()[1:]
				} else {
					name = field.JSONName()
				}
				message = field.Message()
			}
			// Simple names only: readers of the document take others for something of their own.
			if strings.ContainsAny(name, ".{}") {
				t.Fatal(name)
			}
			return "{" + name + "}"
		})
		path := parameter.ReplaceAllString(route.Template, "id")
		name := string(route.Call.Parent().Name()) + "." + string(route.Call.Name())
		media := "application/json"
		if route.Kind == shape.Events {
			media = "application/x-ndjson"
		}
		for _, answer := range []proto.Message{dynamicpb.NewMessage(route.Call.Output()), filled(route.Call.Output())} {
			f.on(name, nil, answer)
			d.check(route.Method, template, g.request(route.Method, path, "{}").want(route.Status), media)
		}
		for _, code := range []codes.Code{codes.InvalidArgument, codes.NotFound, codes.Unimplemented, codes.Aborted} {
			f.on(name, status.Error(code, "no"))
			d.check(route.Method, template, g.request(route.Method, path, "{}"), "application/json")
		}
	}
	d.check("GET", "/healthz", g.request("GET", "/healthz", ""), "application/json")
	d.check("GET", "/readyz", g.request("GET", "/readyz", ""), "application/json")
}

// A body that the document allows is one that the gateway takes, and every body that the gateway takes can be sent on.
func TestDocumentedBodiesAreTaken(t *testing.T) {
	g, f := pair(t)
	d := newDocumented(t)
	for _, route := range g.handler.table.All() {
		if route.Body == nil {
			continue
		}
		suffix := "Input"
		if strings.HasSuffix(string(route.Body.Name()), "Request") {
			suffix = "Body"
		}
		schema, err := d.compiler.Compile("api.json#/components/schemas/" + string(route.Body.Name()) + suffix)
		if err != nil {
			t.Fatal(err)
		}
		message := filled(route.Body)
		shrink(message)
		body := bodyOf(message)
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err = schema.Validate(value); err != nil {
			t.Errorf("%s: %v\n%s", route.Body.Name(), err, body)
		}
		path := parameter.ReplaceAllString(route.Template, "id")
		g.request(route.Method, path, string(body)).want(route.Status)
		seen := f.last(t).request
		if route.Body != route.Call.Input() {
			for i := range seen.Descriptor().Fields().Len() {
				if field := seen.Descriptor().Fields().Get(i); field.Message() == route.Body {
					seen = seen.Get(field).Message()
				}
			}
		}
		if got := bodyOf(seen.Interface()); !strings.Contains(route.Template, "{") && !bytes.Equal(got, body) {
			t.Errorf("%s: sent on as\n%s\nnot\n%s", route.Body.Name(), got, body)
		}
	}
}

// shrink puts numbers into the bounds that some fields have.
func shrink(message protoreflect.Message) {
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
		case field.IsList():
			for i := range value.List().Len() {
				if field.Message() != nil && field.Message().FullName() != "google.protobuf.Timestamp" {
					shrink(value.List().Get(i).Message())
				}
			}
		case field.Message() != nil && field.Message().FullName() != "google.protobuf.Timestamp":
			shrink(value.Message())
		case field.Kind() == protoreflect.Int32Kind:
			message.Set(field, protoreflect.ValueOfInt32(7))
		}
		return true
	})
}

func bodyOf(message proto.Message) []byte { return wire.AppendMessage(nil, message.ProtoReflect()) }
