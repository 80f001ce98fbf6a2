package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/mosaajii/backup/gateway/internal/shape"
)

// Violation is a mistake in a request: the field by its JSON name ("" for the body itself) and one sentence.
type Violation struct {
	Field       string
	Description string
}

// More would help nobody and let a bad body make a large answer.
const maxViolations = 20

// CheckBody says what of a JSON body does not fit the message. Nil: it fits, and protojson takes it. An empty body and null stand for an
// empty message. Fields that the message does not have are left out of account.
func CheckBody(message protoreflect.MessageDescriptor, body []byte) []Violation {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if !utf8.Valid(body) {
		return []Violation{{"", "the body is not valid UTF-8"}}
	}
	c := checker{decoder: json.NewDecoder(bytes.NewReader(body))}
	c.decoder.UseNumber()
	err := c.body(message)
	if err == nil {
		if _, err = c.decoder.Token(); errors.Is(err, io.EOF) {
			return c.violations
		}
		err = errors.New("it goes on after its end")
	}
	return []Violation{{"", "the body is not valid JSON: " + explain(err)}}
}

// explain makes the library's error one clause.
func explain(err error) string {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return strings.TrimPrefix(syntax.Error(), "json: ")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends too early"
	default:
		return err.Error()
	}
}

type checker struct {
	decoder    *json.Decoder
	violations []Violation
}

func (c *checker) add(field, format string, arguments ...any) {
	if len(c.violations) < maxViolations {
		c.violations = append(c.violations, Violation{field, fmt.Sprintf(format, arguments...)})
	}
}

func (c *checker) body(message protoreflect.MessageDescriptor) error {
	token, err := c.decoder.Token()
	if err != nil || token == nil {
		return err
	}
	if token != json.Delim('{') {
		c.add("", "the body is %s; allowed is a JSON object", show(token))
		return c.skip(token)
	}
	return c.fields(message, "")
}

// skip reads the rest of a value whose first token has been read.
func (c *checker) skip(token json.Token) error {
	depth := 0
	for {
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
		var err error
		if token, err = c.decoder.Token(); err != nil {
			return err
		}
	}
}

func find(message protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if field := message.Fields().ByJSONName(name); field != nil {
		return field
	}
	return message.Fields().ByTextName(name)
}

// fields reads an object behind its opening brace.
func (c *checker) fields(message protoreflect.MessageDescriptor, prefix string) error {
	seen := map[protoreflect.FieldNumber]bool{}
	for {
		key, err := c.decoder.Token()
		if err != nil {
			return err
		}
		name, ok := key.(string)
		if !ok {
			return nil
		}
		token, err := c.decoder.Token()
		if err != nil {
			return err
		}
		field := find(message, name)
		if field == nil {
			if err = c.skip(token); err != nil {
				return err
			}
			continue
		}
		path := prefix + field.JSONName()
		if seen[field.Number()] {
			c.add(path, "%s is given twice", path)
		}
		seen[field.Number()] = true
		if err = c.field(field, path, token); err != nil {
			return err
		}
	}
}

func (c *checker) field(field protoreflect.FieldDescriptor, path string, token json.Token) error {
	switch {
	case token == nil:
		return nil
	case field.IsMap():
		return c.entries(field, path, token)
	case !field.IsList():
		return c.single(field, path, token)
	}
	if token != json.Delim('[') {
		c.add(path, "%s is %s; allowed is a list", path, show(token))
		return c.skip(token)
	}
	for i := 0; ; i++ {
		token, err := c.decoder.Token()
		if err != nil || token == json.Delim(']') {
			return err
		}
		item := fmt.Sprintf("%s[%d]", path, i)
		if token == nil {
			c.add(item, "%s is null; allowed is %s", item, allowed(field))
			continue
		}
		if err = c.single(field, item, token); err != nil {
			return err
		}
	}
}

func (c *checker) entries(field protoreflect.FieldDescriptor, path string, token json.Token) error {
	if token != json.Delim('{') {
		c.add(path, "%s is %s; allowed is an object", path, show(token))
		return c.skip(token)
	}
	seen := map[string]bool{}
	for {
		key, err := c.decoder.Token()
		if err != nil {
			return err
		}
		name, ok := key.(string)
		if !ok {
			return nil
		}
		item := path + "." + name
		if seen[name] {
			c.add(item, "%s is given twice", item)
		}
		seen[name] = true
		if token, err = c.decoder.Token(); err != nil {
			return err
		}
		if token == nil {
			c.add(item, "%s is null; allowed is %s", item, allowed(field.MapValue()))
			continue
		}
		if err = c.single(field.MapValue(), item, token); err != nil {
			return err
		}
	}
}

func (c *checker) single(field protoreflect.FieldDescriptor, path string, token json.Token) error {
	if message := field.Message(); message != nil && message.FullName() != timestampName && token == json.Delim('{') {
		return c.fields(message, path+".")
	}
	if !fits(field, token) {
		c.add(path, "%s is %s; allowed is %s", path, show(token), allowed(field))
	}
	return c.skip(token)
}

func fits(field protoreflect.FieldDescriptor, token json.Token) bool {
	switch field.Kind() {
	case protoreflect.BoolKind:
		_, ok := token.(bool)
		return ok
	case protoreflect.StringKind:
		_, ok := token.(string)
		return ok
	case protoreflect.BytesKind:
		text, ok := token.(string)
		return ok && isBase64(text)
	case protoreflect.EnumKind:
		text, ok := token.(string)
		return ok && word(field.Enum(), text) != nil
	case protoreflect.MessageKind, protoreflect.GroupKind:
		text, ok := token.(string)
		if !ok || field.Message().FullName() != timestampName {
			return false
		}
		_, ok = parseTime(text)
		return ok
	default:
		number, ok := token.(json.Number)
		return ok && inRange(field.Kind(), number.String())
	}
}

func word(enum protoreflect.EnumDescriptor, text string) protoreflect.EnumValueDescriptor {
	value := enum.Values().ByName(protoreflect.Name(text))
	if value == nil || shape.Unspecified(value) {
		return nil
	}
	return value
}

func parseTime(text string) (time.Time, bool) {
	at, err := time.Parse(time.RFC3339Nano, text)
	// Go takes a comma before the fraction and hours of one digit, RFC 3339 does not, and neither does protojson.
	if err != nil || strings.ContainsRune(text, ',') || len(text) < len("2006-01-02T15:04:05Z") || text[13] != ':' {
		return time.Time{}, false
	}
	at = at.UTC()
	if fraction := strings.IndexByte(text, '.'); fraction > 0 {
		digits := strings.TrimRight(text[fraction+1:], "Zz")
		if sign := strings.IndexAny(digits, "+-"); sign >= 0 {
			digits = digits[:sign]
		}
		if len(digits) > 9 {
			return time.Time{}, false
		}
	}
	return at, at.Year() >= 1 && at.Year() <= 9999
}

func isBase64(text string) bool {
	encoding := base64.StdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.URLEncoding
	}
	if len(text)%4 != 0 {
		encoding = encoding.WithPadding(base64.NoPadding)
	}
	_, err := encoding.DecodeString(text)
	return err == nil
}

func bounds(kind protoreflect.Kind) (least, most float64, whole bool) {
	switch kind {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return math.MinInt32, math.MaxInt32, true
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return 0, math.MaxUint32, true
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return math.MinInt64, math.MaxInt64, true
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return 0, math.MaxUint64, true
	case protoreflect.FloatKind:
		return -math.MaxFloat32, math.MaxFloat32, false
	default:
		return -math.MaxFloat64, math.MaxFloat64, false
	}
}

func inRange(kind protoreflect.Kind, text string) bool {
	least, most, whole := bounds(kind)
	if whole && !strings.ContainsAny(text, ".eE") {
		if least < 0 {
			number, err := strconv.ParseInt(text, 10, 64)
			return err == nil && float64(number) >= least && float64(number) <= most
		}
		number, err := strconv.ParseUint(text, 10, 64)
		return err == nil && float64(number) <= most
	}
	number, err := strconv.ParseFloat(text, 64)
	// Beyond 2^53 a fraction or exponent no longer names one whole number.
	return err == nil && number >= least && number <= most && (!whole || number == math.Trunc(number) && math.Abs(number) <= 1<<53)
}

func allowed(field protoreflect.FieldDescriptor) string {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.StringKind:
		return "a text"
	case protoreflect.BytesKind:
		return "a text in base64"
	case protoreflect.EnumKind:
		return orList(shape.Words(field.Enum()))
	case protoreflect.MessageKind, protoreflect.GroupKind:
		if field.Message().FullName() == timestampName {
			return "a time in RFC 3339, as 2026-01-31T09:30:00Z"
		}
		return "an object"
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "a number"
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return "a whole number of at most 32 bits"
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return "a whole number from 0 to 4294967295"
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return "a whole number from 0"
	default:
		return "a whole number"
	}
}

func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// show writes a value for people, cut to what fits a sentence.
func show(token json.Token) string {
	switch value := token.(type) {
	case string:
		return quote(value)
	case json.Delim:
		if value == '{' {
			return "an object"
		}
		return "a list"
	case json.Number:
		return cut(value.String())
	default:
		return fmt.Sprint(value)
	}
}

func quote(text string) string { return `"` + cut(text) + `"` }

func cut(text string) string {
	const most = 60
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if runes := []rune(clean); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return clean
}
