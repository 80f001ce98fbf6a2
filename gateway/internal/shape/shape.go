// Package shape says what form the REST answer of an RPC has. The gateway answers by it and the OpenAPI document is made by it, so the
// two cannot disagree.
package shape

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Kind is the form of an answer.
type Kind int

const (
	// Record: `data` is the response message.
	Record Kind = iota
	// List: `data` is the array alone, `pagination` stands beside it.
	List
	// Message: only `message`, as a delete or an acknowledge answers.
	Message
	// Events: a stream of JSON values, one a line or as server-sent events.
	Events
	// Bytes: a stream of raw content.
	Bytes
)

// created names the calls that make a record, which answer 201. Those that begin with Create need not be named.
var created = map[protoreflect.Name]bool{
	"UploadBackup": true, "ExecutePlan": true, "TestPlan": true, "ClonePlan": true,
	"RestoreBackup": true, "FetchBackup": true, "PruneRepository": true, "CheckRepository": true, "RotateKey": true,
}

// unhurried names the calls that answer only when long work is done; no deadline is set for them.
var unhurried = map[protoreflect.Name]bool{
	"VerifyBackup": true, "DeleteBackup": true, "VerifyOffsite": true, "DeleteOffsiteBackup": true, "VerifyAudit": true,
	"TestAlertDelivery": true,
}

// Of says which form the answer of the method has.
func Of(method protoreflect.MethodDescriptor) Kind {
	output := method.Output()
	switch {
	case method.IsStreamingServer() && output.Fields().ByName("data") != nil:
		return Bytes
	case method.IsStreamingServer():
		return Events
	case ListField(output) != nil:
		return List
	case strings.HasSuffix(string(output.Name()), "Response") && output.Fields().ByName("message") != nil:
		return Message
	default:
		return Record
	}
}

// ListField is the field that holds the list of a list response: the only one but for the page token. Nil for other messages.
func ListField(message protoreflect.MessageDescriptor) protoreflect.FieldDescriptor {
	if !strings.HasSuffix(string(message.Name()), "Response") {
		return nil
	}
	var list protoreflect.FieldDescriptor
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		switch {
		case field.Name() == "next_page_token":
		case list == nil && field.IsList() && field.Message() != nil:
			list = field
		default:
			return nil
		}
	}
	return list
}

// Status is the HTTP status of success.
func Status(method protoreflect.MethodDescriptor) int {
	if created[method.Name()] || strings.HasPrefix(string(method.Name()), "Create") {
		return 201
	}
	return 200
}

// Unhurried says whether the call may take as long as its work takes.
func Unhurried(method protoreflect.MethodDescriptor) bool {
	return unhurried[method.Name()] || method.IsStreamingServer()
}

// Watch says whether the call follows events that can be taken up again from a sequence number.
func Watch(method protoreflect.MethodDescriptor) bool {
	return Of(method) == Events && method.Input().Fields().ByName("after_sequence") != nil
}

// Unspecified says whether an enum value is the one that stands for none, which JSON shows as null and no request may name.
func Unspecified(value protoreflect.EnumValueDescriptor) bool {
	return value.Number() == 0 && strings.HasSuffix(string(value.Name()), "_UNSPECIFIED")
}

// Words are the values of an enum as requests may name them.
func Words(enum protoreflect.EnumDescriptor) []string {
	var words []string
	for i := range enum.Values().Len() {
		if value := enum.Values().Get(i); !Unspecified(value) {
			words = append(words, string(value.Name()))
		}
	}
	return words
}
