package wire

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// ParseQuery sets the fields of the message that the query string names, by their JSON or proto names; skip says which fields come from
// elsewhere. A name that the message does not have is left out of account, and an empty value is as none. Lists are comma separated and
// may also be repeated. Nothing is set in a field with a violation.
func ParseQuery(message protoreflect.Message, query url.Values, skip func(protoreflect.Name) bool) []Violation {
	var violations []Violation
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		field := find(message.Descriptor(), name)
		if field == nil || skip != nil && skip(field.Name()) {
			continue
		}
		if text := parseParameter(message, field, query[name]); text != "" && len(violations) < maxViolations {
			violations = append(violations, Violation{field.JSONName(), field.JSONName() + " " + text})
		}
	}
	return violations
}

func parseParameter(message protoreflect.Message, field protoreflect.FieldDescriptor, given []string) string {
	var texts []string
	for _, text := range given {
		if !utf8.ValidString(text) {
			return "is not valid UTF-8"
		}
		if !field.IsList() {
			texts = append(texts, text)
			continue
		}
		for item := range strings.SplitSeq(text, ",") {
			texts = append(texts, strings.TrimSpace(item))
		}
	}
	texts = slices.DeleteFunc(texts, func(text string) bool { return text == "" })
	if len(texts) == 0 {
		return ""
	}
	if !field.IsList() && (len(texts) > 1 || message.Has(field)) {
		return "is given twice"
	}
	if field.IsMap() || field.Message() != nil && field.Message().FullName() != timestampName {
		return ""
	}
	var values []protoreflect.Value
	for _, text := range texts {
		value, ok := parseText(message, field, text)
		if !ok {
			return fmt.Sprintf("is %s; allowed is %s", quote(text), allowed(field))
		}
		values = append(values, value)
	}
	if !field.IsList() {
		message.Set(field, values[0])
		return ""
	}
	list := message.Mutable(field).List()
	for _, value := range values {
		list.Append(value)
	}
	return ""
}

func parseText(message protoreflect.Message, field protoreflect.FieldDescriptor, text string) (protoreflect.Value, bool) {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(text == "true"), text == "true" || text == "false"
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text), true
	case protoreflect.EnumKind:
		value := word(field.Enum(), text)
		if value == nil {
			return protoreflect.Value{}, false
		}
		return protoreflect.ValueOfEnum(value.Number()), true
	case protoreflect.MessageKind:
		// An unescaped + is read as a space.
		at, ok := parseTime(strings.Replace(text, " ", "+", 1))
		value := message.NewField(field)
		timestamp := value.Message()
		timestamp.Set(timestamp.Descriptor().Fields().ByName("seconds"), protoreflect.ValueOfInt64(at.Unix()))
		timestamp.Set(timestamp.Descriptor().Fields().ByName("nanos"), protoreflect.ValueOfInt32(int32(at.Nanosecond())))
		return value, ok
	case protoreflect.Int32Kind:
		number, err := strconv.ParseInt(text, 10, 32)
		return protoreflect.ValueOfInt32(int32(number)), err == nil
	case protoreflect.Int64Kind:
		number, err := strconv.ParseInt(text, 10, 64)
		return protoreflect.ValueOfInt64(number), err == nil
	case protoreflect.Uint32Kind:
		number, err := strconv.ParseUint(text, 10, 32)
		return protoreflect.ValueOfUint32(uint32(number)), err == nil
	case protoreflect.Uint64Kind:
		number, err := strconv.ParseUint(text, 10, 64)
		return protoreflect.ValueOfUint64(number), err == nil
	case protoreflect.DoubleKind:
		number, err := strconv.ParseFloat(text, 64)
		return protoreflect.ValueOfFloat64(number), err == nil
	default:
		return protoreflect.Value{}, false
	}
}
