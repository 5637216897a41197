package event

import (
	"bytes"
	"encoding/json"
	"unicode/utf16"
	"unicode/utf8"
)

// reader reads one JSON text (RFC 8259), strictly, in a single pass.
//
// encoding/json cannot do what an envelope needs: refuse duplicate names, limit the depth, keep
// unknown values byte for byte, and report which field is invalid.
//
// The caller must check that data is valid UTF-8.
type reader struct {
	data  []byte
	pos   int
	depth int
}

// Rules that more than one place reports.
const (
	ruleSyntax    = "is not valid JSON"
	ruleTruncated = "ends too early"
	ruleDuplicate = "occurs twice"
)

// fail returns an error at the current position.
func (r *reader) fail(rule string) error { return r.failAt(r.pos, rule) }

func (r *reader) failAt(pos int, rule string) error {
	if pos >= len(r.data) && rule == ruleSyntax {
		rule = ruleTruncated
	}
	return &DecodeError{Offset: pos, Rule: rule}
}

// next skips white space and returns the byte that follows, 0 at the end.
func (r *reader) next() byte {
	for r.pos < len(r.data) {
		switch c := r.data[r.pos]; c {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return c
		}
	}
	return 0
}

// atEnd reports whether only white space follows.
func (r *reader) atEnd() bool {
	r.next()
	return r.pos == len(r.data)
}

// accept reads c if it follows, and reports whether it did.
func (r *reader) accept(c byte) bool {
	if r.next() != c {
		return false
	}
	r.pos++
	return true
}

// null reads null if it follows, and reports whether it did.
func (r *reader) null() bool {
	if r.next() != 'n' || !r.hasLiteral("null") {
		return false
	}
	r.pos += len("null")
	return true
}

func (r *reader) hasLiteral(s string) bool {
	return len(r.data)-r.pos >= len(s) && string(r.data[r.pos:r.pos+len(s)]) == s
}

// enter and leave count how deep the reader is in arrays and objects.
func (r *reader) enter() error {
	if r.depth++; r.depth > MaxDepth {
		return r.fail(ruleDepth)
	}
	return nil
}

func (r *reader) leave() { r.depth-- }

// object reads an object. For each of its names it calls member, which must read the value. If
// member returns an error, object adds the name to its path.
func (r *reader) object(member func(name []byte) error) error {
	if !r.accept('{') {
		return r.fail("must be an object")
	}
	if err := r.enter(); err != nil {
		return err
	}
	defer r.leave()
	if r.accept('}') {
		return nil
	}
	for {
		if r.next() != '"' {
			return r.fail(ruleSyntax)
		}
		name, err := r.text()
		if err != nil {
			return err
		}
		if !r.accept(':') {
			return r.fail(ruleSyntax)
		}
		r.next()
		if err := member(name); err != nil {
			return inField(name, err)
		}
		if r.accept('}') {
			return nil
		}
		if !r.accept(',') {
			return r.fail(ruleSyntax)
		}
	}
}

// array reads an array. For each of its values it calls element, which must read the value.
func (r *reader) array(element func() error) error {
	if !r.accept('[') {
		return r.fail("must be an array")
	}
	if err := r.enter(); err != nil {
		return err
	}
	defer r.leave()
	if r.accept(']') {
		return nil
	}
	for i := 0; ; i++ {
		r.next()
		if err := element(); err != nil {
			return inElement(i, err)
		}
		if r.accept(']') {
			return nil
		}
		if !r.accept(',') {
			return r.fail(ruleSyntax)
		}
	}
}

// text reads a string. The result may share memory with the input: the caller must not change
// it.
func (r *reader) text() ([]byte, error) {
	start := r.pos + 1
	for i := start; i < len(r.data); i++ {
		switch c := r.data[i]; {
		case c == '"':
			r.pos = i + 1
			return r.data[start:i], nil
		case c == '\\':
			return r.escapedText(start, i)
		case c < ' ':
			return nil, r.failAt(i, ruleSyntax)
		}
	}
	return nil, r.failAt(len(r.data), ruleTruncated)
}

// escapedText reads the rest of a string that begins at start and has its first escape at i.
func (r *reader) escapedText(start, i int) ([]byte, error) {
	out := append(make([]byte, 0, i-start+32), r.data[start:i]...)
	for i < len(r.data) {
		c := r.data[i]
		switch {
		case c == '"':
			r.pos = i + 1
			return out, nil
		case c < ' ':
			return nil, r.failAt(i, ruleSyntax)
		case c != '\\':
			out = append(out, c)
			i++
			continue
		}
		if i+1 == len(r.data) {
			break
		}
		switch c := r.data[i+1]; c {
		case '"', '\\', '/':
			out = append(out, c)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			char, size := r.escapedRune(i)
			if size == 0 {
				return nil, r.failAt(i, ruleSyntax)
			}
			out = utf8.AppendRune(out, char)
			i += size
			continue
		default:
			return nil, r.failAt(i, ruleSyntax)
		}
		i += 2
	}
	return nil, r.failAt(len(r.data), ruleTruncated)
}

// escapedRune decodes \uXXXX at i, or a surrogate pair of two. Half a pair is
// U+FFFD, as in encoding/json: UTF-8 cannot express it. A size of 0 means invalid syntax.
func (r *reader) escapedRune(i int) (char rune, size int) {
	char, ok := r.hex4(i)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(char) {
		return char, 6
	}
	if low, ok := r.hex4(i + 6); ok {
		if pair := utf16.DecodeRune(char, low); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// hex4 decodes \uXXXX at i.
func (r *reader) hex4(i int) (rune, bool) {
	if len(r.data)-i < 6 || r.data[i] != '\\' || r.data[i+1] != 'u' {
		return 0, false
	}
	var char rune
	for _, c := range r.data[i+2 : i+6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		char = char<<4 | rune(c)
	}
	return char, true
}

// number reads a number. The result shares memory with the input.
func (r *reader) number() ([]byte, error) {
	start := r.pos
	n := numberLength(r.data[start:])
	if n == 0 {
		return nil, r.fail(ruleSyntax)
	}
	r.pos += n
	return r.data[start:r.pos], nil
}

// numberLength returns the length of the JSON number at the start of b, or 0.
func numberLength[T ~string | ~[]byte](b T) int {
	digits := func(i int) int {
		for i < len(b) && '0' <= b[i] && b[i] <= '9' {
			i++
		}
		return i
	}
	i := 0
	if i < len(b) && b[i] == '-' {
		i++
	}
	end := digits(i)
	if end == i || b[i] == '0' && end > i+1 {
		return 0
	}
	if end < len(b) && b[end] == '.' {
		fraction := end + 1
		if end = digits(fraction); end == fraction {
			return 0
		}
	}
	if end < len(b) && (b[end] == 'e' || b[end] == 'E') {
		exponent := end + 1
		if exponent < len(b) && (b[exponent] == '+' || b[exponent] == '-') {
			exponent++
		}
		if end = digits(exponent); end == exponent {
			return 0
		}
	}
	return end
}

// value reads any value, with the types of encoding/json with UseNumber: map[string]any, []any,
// string, json.Number, bool or nil.
func (r *reader) value() (any, error) {
	switch c := r.next(); {
	case c == '{':
		return r.mapValue()
	case c == '[':
		list := []any{}
		err := r.array(func() error {
			v, err := r.value()
			list = append(list, v)
			return err
		})
		return list, err
	case c == '"':
		s, err := r.text()
		return string(s), err
	case c == '-' || '0' <= c && c <= '9':
		n, err := r.number()
		return json.Number(n), err
	default:
		return r.literal()
	}
}

// mapValue reads an object and returns an error if a name occurs twice.
func (r *reader) mapValue() (map[string]any, error) {
	m := map[string]any{}
	err := r.object(func(name []byte) error {
		start := r.pos
		v, err := r.value()
		if err != nil {
			return err
		}
		size := len(m)
		if m[string(name)] = v; len(m) == size {
			return r.failAt(start, ruleDuplicate)
		}
		return nil
	})
	return m, err
}

func (r *reader) literal() (any, error) {
	switch {
	case r.hasLiteral("true"):
		r.pos += len("true")
		return true, nil
	case r.hasLiteral("false"):
		r.pos += len("false")
		return false, nil
	case r.hasLiteral("null"):
		r.pos += len("null")
		return nil, nil
	default:
		return nil, r.fail(ruleSyntax)
	}
}

// skip reads any value and drops it. It allows duplicate names, because nothing here uses them.
func (r *reader) skip() error {
	var err error
	switch c := r.next(); {
	case c == '{':
		return r.object(func([]byte) error { return r.skip() })
	case c == '[':
		return r.array(r.skip)
	case c == '"':
		_, err = r.text()
	case c == '-' || '0' <= c && c <= '9':
		_, err = r.number()
	default:
		_, err = r.literal()
	}
	return err
}

// raw reads any value and returns a copy of its bytes.
func (r *reader) raw() (json.RawMessage, error) {
	start := r.pos
	if err := r.skip(); err != nil {
		return nil, err
	}
	return bytes.Clone(r.data[start:r.pos]), nil
}

// extra reads the value of an unknown name into extra, and makes the map if it is nil.
func (r *reader) extra(name []byte, extra *map[string]json.RawMessage) error {
	start := r.pos
	raw, err := r.raw()
	if err != nil {
		return err
	}
	if *extra == nil {
		*extra = map[string]json.RawMessage{}
	}
	size := len(*extra)
	if (*extra)[string(name)] = raw; len(*extra) == size {
		return r.failAt(start, ruleDuplicate)
	}
	return nil
}

// textInto reads a string or null. Null does not change dst.
func (r *reader) textInto(dst *string) error {
	if r.null() {
		return nil
	}
	if r.next() != '"' {
		return r.fail("must be a string")
	}
	s, err := r.text()
	*dst = string(s)
	return err
}
