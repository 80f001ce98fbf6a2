// Package wire turns messages into the project's JSON and checks JSON and query strings against message descriptors. It differs from
// protojson where the REST contract does: counts and sizes are numbers, every field is present, an enum that is not set is null; and a
// mistake in a request is named by its field, with what is allowed.
package wire

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/mosaajii/backup/gateway/internal/shape"
)

const timestampName protoreflect.FullName = "google.protobuf.Timestamp"

// AppendMessage appends the message as JSON: all fields in the order of the proto, null where a message or an optional value is absent.
func AppendMessage(b []byte, message protoreflect.Message) []byte {
	if message.Descriptor().FullName() == timestampName {
		return appendTimestamp(b, message)
	}
	b = append(b, '{')
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, field.JSONName())
		b = append(b, ':')
		if field.HasPresence() && !message.Has(field) {
			b = append(b, "null"...)
			continue
		}
		b = AppendField(b, field, message.Get(field))
	}
	return append(b, '}')
}

// AppendField appends a field's value: a list as an array, a map as an object with sorted keys.
func AppendField(b []byte, field protoreflect.FieldDescriptor, value protoreflect.Value) []byte {
	switch {
	case field.IsList():
		list := value.List()
		b = append(b, '[')
		for i := range list.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendSingle(b, field, list.Get(i))
		}
		return append(b, ']')
	case field.IsMap():
		var keys []protoreflect.MapKey
		value.Map().Range(func(key protoreflect.MapKey, _ protoreflect.Value) bool {
			keys = append(keys, key)
			return true
		})
		slices.SortFunc(keys, func(a, b protoreflect.MapKey) int {
			if a.String() < b.String() {
				return -1
			}
			return 1
		})
		b = append(b, '{')
		for i, key := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, key.String())
			b = append(b, ':')
			b = appendSingle(b, field.MapValue(), value.Map().Get(key))
		}
		return append(b, '}')
	default:
		return appendSingle(b, field, value)
	}
}

func appendSingle(b []byte, field protoreflect.FieldDescriptor, value protoreflect.Value) []byte {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return strconv.AppendBool(b, value.Bool())
	case protoreflect.StringKind:
		return appendString(b, value.String())
	case protoreflect.BytesKind:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, value.Bytes())
		return append(b, '"')
	case protoreflect.EnumKind:
		named := field.Enum().Values().ByNumber(value.Enum())
		// A number without a word can only come from a newer server; readers know no word for it either.
		if named == nil || shape.Unspecified(named) {
			return append(b, "null"...)
		}
		return appendString(b, string(named.Name()))
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return appendFloat(b, value.Float())
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return AppendMessage(b, value.Message())
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return strconv.AppendUint(b, value.Uint(), 10)
	default:
		return strconv.AppendInt(b, value.Int(), 10)
	}
}

// JSON has no word for what is no number.
func appendFloat(b []byte, number float64) []byte {
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return append(b, "null"...)
	}
	text, err := json.Marshal(number)
	if err != nil {
		return append(b, "null"...)
	}
	return append(b, text...)
}

func appendTimestamp(b []byte, message protoreflect.Message) []byte {
	fields := message.Descriptor().Fields()
	at := time.Unix(message.Get(fields.ByName("seconds")).Int(), message.Get(fields.ByName("nanos")).Int()).UTC()
	if at.Year() < 1 || at.Year() > 9999 {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = at.AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

// AppendString appends the text as a JSON string.
func AppendString(b []byte, text string) []byte { return appendString(b, text) }

const hex = "0123456789abcdef"

func appendString(b []byte, text string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(text[i:])
			// The two line ends are JSON, but end a line for whoever reads a stream by lines.
			if r != utf8.RuneError && r != '\u2028' && r != '\u2029' {
				i += size
				continue
			}
			b = append(b, text[start:i]...)
			switch {
			case r == '\u2028' || r == '\u2029':
				b = append(b, '\\', 'u', '2', '0', '2', hex[r&0xf])
			default:
				b = append(b, "\ufffd"...)
			}
			i += size
			start = i
			continue
		}
		b = append(b, text[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
		i++
		start = i
	}
	b = append(b, text[start:]...)
	return append(b, '"')
}
