// Package routes knows every REST route of the API: which call it is, what its body fills and what form its answer has.
package routes

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/mosaajii/backup/gateway/internal/gen/backupv1"
	"github.com/mosaajii/backup/gateway/internal/shape"
)

// A line of proto/http.yaml.
type entry struct{ method, template, rpc, body string }

// Route is one method and path of the API.
type Route struct {
	Method string
	// As /api/backups/{backup_id}.
	Template string
	Call     protoreflect.MethodDescriptor
	Kind     shape.Kind
	// HTTP status of success.
	Status int
	// The list in a list response.
	List protoreflect.FieldDescriptor
	// What the body is; nil where none is read.
	Body protoreflect.MessageDescriptor
	// Takes part in the query string: false where the whole request comes from the body.
	Query bool
	// Follows events that can be taken up again.
	Watch bool
	// Answers when its work is done, however long that takes.
	Unhurried bool

	segments []string
}

// Table is the set of all routes.
type Table struct{ routes []*Route }

// New makes the table. It fails only when the generated parts do not fit one another.
func New() (*Table, error) {
	t := &Table{}
	for _, e := range table {
		dot := strings.LastIndexByte(e.rpc, '.')
		var call protoreflect.MethodDescriptor
		for _, file := range []protoreflect.FileDescriptor{backupv1.File_mosaajii_backup_v1_admin_proto,
			backupv1.File_mosaajii_backup_v1_alert_proto, backupv1.File_mosaajii_backup_v1_backup_proto,
			backupv1.File_mosaajii_backup_v1_offsite_proto, backupv1.File_mosaajii_backup_v1_recovery_proto} {
			service := file.Services().ByName(protoreflect.FullName(e.rpc[:dot]).Name())
			if service != nil && call == nil {
				call = service.Methods().ByName(protoreflect.Name(e.rpc[dot+1:]))
			}
		}
		if call == nil {
			return nil, fmt.Errorf("route %s %s: no call %s", e.method, e.template, e.rpc)
		}
		route := &Route{Method: e.method, Template: e.template, Call: call, Kind: shape.Of(call), Status: shape.Status(call),
			List: shape.ListField(call.Output()), Query: e.body != "*", Watch: shape.Watch(call),
			Unhurried: shape.Unhurried(call), segments: strings.Split(e.template, "/")}
		switch e.body {
		case "":
		case "*":
			route.Body = call.Input()
		default:
			route.Body = call.Input().Fields().ByName(protoreflect.Name(e.body)).Message()
		}
		t.routes = append(t.routes, route)
	}
	return t, nil
}

// All routes, in the order of proto/http.yaml.
func (t *Table) All() []*Route { return t.routes }

// Find gives the route of a method and an unescaped path. Without one, allow holds the methods that the path does have.
func (t *Table) Find(method, path string) (route *Route, allow []string) {
	segments := strings.Split(path, "/")
	literals := -1
	for _, candidate := range t.routes {
		matched, ok := candidate.match(segments)
		if !ok || matched < literals {
			continue
		}
		if matched > literals {
			// A path that is named word for word is never taken for one with a parameter.
			literals, route, allow = matched, nil, nil
		}
		allow = append(allow, candidate.Method)
		if candidate.Method == method {
			route = candidate
		}
	}
	slices.Sort(allow)
	return route, allow
}

// match counts the segments that are named word for word.
func (r *Route) match(segments []string) (literals int, ok bool) {
	if len(segments) != len(r.segments) {
		return 0, false
	}
	for i, segment := range r.segments {
		switch {
		case segment == segments[i]:
			literals++
		case !strings.HasPrefix(segment, "{") || segments[i] == "":
			return 0, false
		// "alerts" is no backup's id, also where the route of that id has no sibling for alerts.
		case segment == "{backup_id}" && segments[i] == "alerts":
			return 0, false
		}
	}
	return literals, true
}

// Parameter gives what stands in the path for a parameter of the template, as "backup_id"; "" when it has none of the name.
func (r *Route) Parameter(path, name string) string {
	for i, segment := range strings.Split(path, "/") {
		if i < len(r.segments) && r.segments[i] == "{"+name+"}" {
			return segment
		}
	}
	return ""
}
