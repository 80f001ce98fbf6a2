package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/mosaajii/backup/gateway/internal/shape"
)

// object is a JSON object; its keys are sorted when it is written.
type object = map[string]any

const about = `Encrypted backups and disaster recovery.

Every call but the two of health needs ` + "`Authorization: Bearer <token>`" + `. A success is ` + "`{\"success\": true, \"data\": …}`" + `, a list has
` + "`pagination`" + ` beside its array, a delete or an acknowledge answers a ` + "`message`" + `. An error is
` + "`{\"success\": false, \"error\": \"one sentence\", \"code\": \"NOT_FOUND\", \"details\": […]}`" + ` with the canonical gRPC code, and the HTTP status that
gRPC maps it to (413 and 431 where a body or the headers are too large, 415 where a body is no JSON by its Content-Type, 405 where a method is not
possible).

Fields that a request leaves out take their defaults; unknown fields are ignored. In answers every field is present; what is not set is null,
empty, 0 or false. Times are RFC 3339 in UTC, counts and sizes are numbers.`

// Fields without which a request cannot be carried out.
var required = map[protoreflect.Name][]string{
	"CreateBackupRequest": {"type"}, "CreateTokenRequest": {"name", "role"}, "RetireKeyRequest": {"keyId"},
	"ExportKeysRequest": {"passphrase"}, "ImportKeysRequest": {"content", "passphrase"}, "TestPlanRequest": {"environment"},
}

// Bounds that hold for fields of this name everywhere.
var limits = map[protoreflect.Name][2]int64{
	"page_size": {0, 1000}, "after_sequence": {0, math.MaxInt64}, "retention_days": {1, 36500}, "sample_percent": {0, 100},
}

var pathParameter = regexp.MustCompile(`\{([a-z_.]+)\}`)

type documenter struct {
	files   *protoregistry.Files
	schemas object
}

func makeDocument(routes []route, files *protoregistry.Files) ([]byte, error) {
	d := &documenter{files: files, schemas: object{}}
	paths := object{}
	tags := map[string]bool{}
	for _, r := range routes {
		found, err := files.FindDescriptorByName(protoreflect.FullName(r.RPC))
		method, ok := found.(protoreflect.MethodDescriptor)
		if err != nil || !ok {
			return nil, fmt.Errorf("proto/http.yaml: there is no call %s", r.RPC)
		}
		tags[string(method.Parent().Name())] = true
		path := pathParameter.ReplaceAllStringFunc(r.Template, func(match string) string {
			return "{" + jsonName(method.Input(), strings.Trim(match, "{}")) + "}"
		})
		if paths[path] == nil {
			paths[path] = object{}
		}
		paths[path].(object)[strings.ToLower(r.Method)] = d.operation(r, method)
	}
	paths["/healthz"] = object{"get": healthOperation("health", "The gateway runs.", "")}
	paths["/readyz"] = object{"get": healthOperation("readiness", "The gateway and the server behind it can take calls.", "The server is away or not serving.")}
	paths["/api/session"] = d.sessionOperations()
	list := []any{}
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, object{"name": name})
	}
	d.schemas["Error"] = object{"type": "object", "required": []string{"success", "error", "code", "details"}, "properties": object{
		"success": object{"const": false},
		"error":   object{"type": "string", "description": "One sentence."},
		"code":    object{"type": "string", "description": "Canonical gRPC code name.", "enum": codeNames},
		"details": object{"type": "array", "description": "The fields at fault, by their JSON names.", "items": object{"type": "object",
			"required": []string{"field", "description"}, "properties": object{"field": object{"type": "string"}, "description": object{"type": "string"}}}},
	}}
	d.schemas["Pagination"] = object{"type": "object", "required": []string{"nextPageToken"}, "properties": object{
		"nextPageToken": object{"type": "string", "description": "`pageToken` of the next page; empty on the last one."}}}
	document := object{
		"openapi":  "3.1.0",
		"info":     object{"title": "Mosaajii Backup", "version": "v1", "description": about},
		"tags":     append(list, object{"name": "Session"}, object{"name": "Health"}),
		"paths":    paths,
		"security": []any{object{"bearer": []string{}}},
		"components": object{
			"schemas":   d.schemas,
			"responses": problemResponses(),
			"securitySchemes": object{
				"bearer": object{"type": "http", "scheme": "bearer", "description": "A token of this server, or an access token of the POS."},
				"session": object{"type": "apiKey", "in": "cookie", "name": "mosaajii_session",
					"description": "For a browser's EventSource, which can set no header: `POST /api/session` with the token in its header gives this cookie. Only on watch routes, and only for pages of the gateway's own origin."},
			},
		},
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(document); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

var codeNames = []string{"CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"}

func comment(descriptor protoreflect.Descriptor) string {
	lines := strings.Split(descriptor.ParentFile().SourceLocations().ByDescriptor(descriptor).LeadingComments, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// describe adds a description where there is one.
func describe(schema object, text string) object {
	if text != "" {
		schema["description"] = text
	}
	return schema
}

// jsonName makes policyName of policy.name: many readers of such documents take a point in a parameter's name for something of their own.
func jsonName(message protoreflect.MessageDescriptor, path string) string {
	name := ""
	for part := range strings.SplitSeq(path, ".") {
		field := message.Fields().ByName(protoreflect.Name(part))
		next := field.JSONName()
		if name != "" {
			next = strings.ToUpper(next[:1]) + next[1:]
		}
		name, message = name+next, field.Message()
	}
	return name
}

func reference(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func (d *documenter) operation(r route, method protoreflect.MethodDescriptor) object {
	kind := shape.Of(method)
	text := comment(method)
	summary, rest, _ := strings.Cut(text, "\n")
	if end := strings.Index(summary, ". "); end > 0 {
		summary, rest = summary[:end+1], strings.TrimSpace(summary[end+1:]+"\n"+rest)
	}
	if summary == "" {
		summary = spaced(string(method.Name())) + "."
	}
	operation := object{"operationId": string(method.Parent().Name()) + "_" + string(method.Name()), "summary": summary,
		"tags": []string{string(method.Parent().Name())}}
	describe(operation, rest)
	inPath := map[protoreflect.Name]bool{}
	parameters := []any{}
	for _, match := range pathParameter.FindAllStringSubmatch(r.Template, -1) {
		inPath[protoreflect.Name(match[1])] = true
		parameters = append(parameters, object{"name": jsonName(method.Input(), match[1]), "in": "path", "required": true,
			"schema": object{"type": "string", "minLength": 1, "pattern": "^[^/]+$"}})
	}
	switch r.Body {
	case "":
		for i := range method.Input().Fields().Len() {
			if field := method.Input().Fields().Get(i); !inPath[field.Name()] {
				parameters = append(parameters, d.queryParameter(field))
			}
		}
	case "*":
		operation["requestBody"] = d.body(method.Input(), inPath)
	default:
		operation["requestBody"] = d.body(method.Input().Fields().ByName(protoreflect.Name(r.Body)).Message(), nil)
	}
	if shape.Watch(method) {
		parameters = append(parameters, object{"name": "Last-Event-ID", "in": "header",
			"description": "As `afterSequence`, and before it: what a browser's EventSource sends when it comes back.",
			"schema":      object{"type": "integer", "format": "int64", "minimum": 0, "maximum": math.MaxInt64}})
		operation["security"] = []any{object{"bearer": []string{}}, object{"session": []string{}}}
	}
	if len(parameters) > 0 {
		operation["parameters"] = parameters
	}
	operation["responses"] = d.responses(method, kind, r.Body != "", len(inPath) > 0)
	return operation
}

// spaced makes "List keys" of "ListKeys".
func spaced(name string) string {
	words := regexp.MustCompile(`[A-Z][a-z]*`).FindAllString(name, -1)
	return words[0] + strings.ToLower(" "+strings.Join(words[1:], " "))
}

func (d *documenter) queryParameter(field protoreflect.FieldDescriptor) object {
	schema := d.bare(field, true)
	parameter := object{"name": field.JSONName(), "in": "query", "schema": schema}
	if field.IsList() {
		parameter["schema"] = object{"type": "array", "items": schema}
		parameter["style"], parameter["explode"] = "form", false
	}
	return describe(parameter, documented(field))
}

func (d *documenter) body(message protoreflect.MessageDescriptor, without map[protoreflect.Name]bool) object {
	name := d.input(message, without)
	return object{"required": len(required[message.Name()]) > 0, "content": object{"application/json": object{"schema": reference(name)}}}
}

// documented is a field's own comment, and what the words of its enum mean.
func documented(field protoreflect.FieldDescriptor) string {
	text := comment(field)
	if field.Enum() == nil {
		return text
	}
	for i := range field.Enum().Values().Len() {
		value := field.Enum().Values().Get(i)
		if meaning := comment(value); meaning != "" && !shape.Unspecified(value) {
			text += fmt.Sprintf("\n- %s: %s", value.Name(), strings.ReplaceAll(meaning, "\n", " "))
		}
	}
	return strings.TrimSpace(text)
}

// bare is the schema of one value of the field, without null. Requests bound numbers, answers need not.
func (d *documenter) bare(field protoreflect.FieldDescriptor, request bool) object {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return object{"type": "boolean"}
	case protoreflect.StringKind:
		return object{"type": "string"}
	case protoreflect.BytesKind:
		return object{"type": "string", "format": "byte", "contentEncoding": "base64"}
	case protoreflect.EnumKind:
		return object{"type": "string", "enum": shape.Words(field.Enum())}
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		return object{"type": "number", "format": "double"}
	case protoreflect.MessageKind:
		if field.Message().FullName() == "google.protobuf.Timestamp" {
			return object{"type": "string", "format": "date-time"}
		}
		if request {
			return reference(d.input(field.Message(), nil))
		}
		return reference(d.output(field.Message()))
	}
	schema := object{"type": "integer", "format": field.Kind().String()}
	if limit, ok := limits[field.Name()]; ok && request {
		schema["minimum"], schema["maximum"] = limit[0], limit[1]
	} else if request {
		schema["minimum"], schema["maximum"] = math.MinInt32, math.MaxInt32
		if field.Kind() == protoreflect.Int64Kind {
			schema["minimum"], schema["maximum"] = math.MinInt64, math.MaxInt64
		}
	}
	return schema
}

func orNull(schema object) object {
	switch {
	case schema["$ref"] != nil:
		return object{"anyOf": []any{schema, object{"type": "null"}}}
	case schema["enum"] != nil:
		words := []any{}
		for _, word := range schema["enum"].([]string) {
			words = append(words, word)
		}
		schema["enum"] = append(words, nil)
	}
	schema["type"] = []any{schema["type"], "null"}
	return schema
}

func (d *documenter) property(field protoreflect.FieldDescriptor, request bool) object {
	var schema object
	switch {
	case field.IsMap():
		schema = object{"type": "object", "additionalProperties": d.bare(field.MapValue(), request)}
	case field.IsList():
		schema = object{"type": "array", "items": d.bare(field, request)}
	default:
		schema = d.bare(field, request)
	}
	// In a request, null stands for nothing given.
	if request || !field.IsMap() && !field.IsList() && (field.HasPresence() || field.Enum() != nil && shape.Unspecified(field.Enum().Values().Get(0))) {
		schema = orNull(schema)
	}
	return describe(schema, documented(field))
}

func (d *documenter) output(message protoreflect.MessageDescriptor) string {
	name := string(message.Name())
	if d.schemas[name] == nil {
		d.schemas[name] = object{}
		properties, all := object{}, []string{}
		for i := range message.Fields().Len() {
			field := message.Fields().Get(i)
			properties[field.JSONName()] = d.property(field, false)
			all = append(all, field.JSONName())
		}
		d.schemas[name] = describe(object{"type": "object", "properties": properties, "required": all}, comment(message))
	}
	return name
}

func (d *documenter) input(message protoreflect.MessageDescriptor, without map[protoreflect.Name]bool) string {
	// Answers hold records and requests too, with every field; what a request may leave out is a schema of its own.
	name := string(message.Name()) + "Input"
	if strings.HasSuffix(string(message.Name()), "Request") {
		name = string(message.Name()) + "Body"
	}
	if d.schemas[name] == nil {
		d.schemas[name] = object{}
		properties := object{}
		for i := range message.Fields().Len() {
			if field := message.Fields().Get(i); !without[field.Name()] {
				properties[field.JSONName()] = d.property(field, true)
			}
		}
		schema := describe(object{"type": "object", "properties": properties}, comment(message))
		for _, field := range required[message.Name()] {
			property := properties[field].(object)
			if words, ok := property["enum"].([]any); ok {
				property["enum"] = words[:len(words)-1]
			}
			property["type"] = property["type"].([]any)[0]
		}
		if fields := required[message.Name()]; fields != nil {
			schema["required"] = fields
		}
		d.schemas[name] = schema
	}
	return name
}

func envelope(properties object) object {
	properties["success"] = object{"const": true}
	return object{"type": "object", "properties": properties, "required": slices.Sorted(maps.Keys(properties))}
}

func content(media string, schema object) object { return object{media: object{"schema": schema}} }

func (d *documenter) responses(method protoreflect.MethodDescriptor, kind shape.Kind, body, parameter bool) object {
	output := method.Output()
	success := object{"description": "Done."}
	if shape.Status(method) == http.StatusCreated {
		success["description"] = "The record was made; work goes on in the background."
	}
	responses := object{strconv.Itoa(shape.Status(method)): success}
	switch kind {
	case shape.Record:
		success["content"] = content("application/json", envelope(object{"data": reference(d.output(output))}))
	case shape.List:
		success["content"] = content("application/json", envelope(object{"pagination": reference("Pagination"),
			"data": object{"type": "array", "items": reference(d.output(shape.ListField(output).Message()))}}))
	case shape.Message:
		success["content"] = content("application/json", envelope(object{"message": object{"type": "string"}}))
	case shape.Events:
		success["description"] = "A line of JSON an event, or server-sent events with the sequence number as `id:` where `Accept: text/event-stream` asks for them. " +
			"Ends when what is watched has ended. Where it breaks off, the last line or an `event: error` is an Error."
		media := content("application/x-ndjson", reference(d.output(output)))
		media["text/event-stream"] = object{"schema": object{"type": "string"}}
		success["content"] = media
		responses["204"] = object{"description": "No event is left, so an EventSource that came back stays away."}
	case shape.Bytes:
		media := "application/octet-stream"
		if method.Name() == "ExportAudit" {
			media = "application/x-ndjson"
		}
		success["content"] = content(media, object{"type": "string", "format": "binary"})
	}
	for status, p := range problems {
		if (status != "404" || parameter) && (status != "413" && status != "415" || body) {
			responses[status] = object{"$ref": "#/components/responses/" + p.name}
		}
	}
	return responses
}

// What any call may answer instead; 404 only with a parameter in its path, 413 and 415 only with a body.
var problems = map[string]struct{ name, text string }{
	"400": {"BadRequest", "The request cannot be carried out as it is."}, "401": {"Unauthenticated", "No valid token."},
	"403": {"PermissionDenied", "The token has not the right."}, "404": {"NotFound", "There is no such record."},
	"413": {"TooLarge", "The body is too large."}, "415": {"UnsupportedMediaType", "The body is no JSON by its headers."},
	"429": {"ResourceExhausted", "Too much at a time."},
	"500": {"Internal", "The server has a fault."}, "501": {"Unimplemented", "Not available in this version."},
	"503": {"Unavailable", "The server is away; try again shortly."}, "default": {"Failure", "Another error."},
}

func problemResponses() object {
	responses := object{}
	for _, p := range problems {
		responses[p.name] = object{"description": p.text, "content": content("application/json", reference("Error"))}
	}
	return responses
}

// sessionOperations are the gateway's own: they are no calls of the server.
func (d *documenter) sessionOperations() object {
	operation := func(name, summary string, statuses ...string) object {
		responses := object{"200": object{"description": "Done.", "content": content("application/json", envelope(object{"message": object{"type": "string"}}))}}
		for _, status := range statuses {
			responses[status] = object{"$ref": "#/components/responses/" + problems[status].name}
		}
		return object{"operationId": name, "summary": summary, "tags": []string{"Session"}, "responses": responses}
	}
	open := operation("openSession", "Gives the token to the browser as a cookie, for EventSource.", "400", "401", "403", "429", "503", "default")
	open["description"] = "The cookie is out of reach of scripts, is sent to this origin alone, ends with the browser, and counts on watch routes only. The token must be one that may read."
	closed := operation("closeSession", "Takes the cookie away.", "default")
	closed["security"] = []any{}
	return object{"post": open, "delete": closed}
}

func healthOperation(name, summary, unavailable string) object {
	ok := object{"description": summary, "content": content("application/json", envelope(object{
		"data": object{"type": "object", "required": []string{"status"}, "properties": object{"status": object{"type": "string"}}}}))}
	responses := object{"200": ok}
	if unavailable != "" {
		responses["503"] = object{"description": unavailable, "content": content("application/json", reference("Error"))}
	}
	return object{"operationId": name, "summary": summary, "tags": []string{"Health"}, "security": []any{}, "responses": responses}
}
