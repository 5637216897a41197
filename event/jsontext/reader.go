package jsontext

import (
	"bytes"
	"encoding/json"
	"unicode/utf16"
	"unicode/utf8"
)

// Reader reads one JSON text (RFC 8259) in a single pass, from its start to its end. Its methods
// read the value that follows, of the kind that their name says, and white space before it. Make
// one with [NewReader]. It is not safe for concurrent use.
//
// All errors of its methods are [*Error]s, apart from those of functions that are passed to
// [Reader.Object] and [Reader.Array]. After an error the position is undefined: stop reading.
type Reader struct {
	data     []byte
	pos      int
	depth    int
	maxDepth int
	valid    bool // all of data is valid UTF-8
}

// MaxDepth is how deep encoding/json lets arrays and objects be nested, for callers of [NewReader]
// that have no smaller limit.
const MaxDepth = 10_000

// NewReader returns a Reader of data, which must not change while it is in use. Arrays and objects
// may be nested maxDepth deep: 1 allows [] but not [[]], and 0 allows neither.
func NewReader(data []byte, maxDepth int) *Reader {
	return &Reader{data: data, maxDepth: maxDepth, valid: utf8.Valid(data)}
}

// ValidUTF8 reports whether all of the input is valid UTF-8, as RFC 8259 demands. If not, reading
// succeeds nonetheless: U+FFFD stands for each invalid byte of a string, as in encoding/json.
func (r *Reader) ValidUTF8() bool { return r.valid }

// Offset returns the position in the input, in bytes: where the last value ended or, after
// [Reader.Next], where the next one begins.
func (r *Reader) Offset() int { return r.pos }

// Fail returns an [*Error] with the given rule at the current position.
func (r *Reader) Fail(rule string) error { return r.FailAt(r.pos, rule) }

// FailAt returns an [*Error] with the given rule at an offset in the input. [RuleSyntax] at its end
// becomes [RuleTruncated].
func (r *Reader) FailAt(offset int, rule string) error {
	if offset >= len(r.data) && rule == RuleSyntax {
		rule = RuleTruncated
	}
	return &Error{Offset: offset, Rule: rule}
}

// Next skips white space and returns the byte that follows, which tells the kind of the next value.
// It is 0 at the end of the input.
func (r *Reader) Next() byte {
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

// AtEnd reports whether only white space follows.
func (r *Reader) AtEnd() bool {
	r.Next()
	return r.pos == len(r.data)
}

// accept reads c if it follows, and reports whether it did.
func (r *Reader) accept(c byte) bool {
	if r.Next() != c {
		return false
	}
	r.pos++
	return true
}

// Null reports whether the next value is null, and reads it if so. Otherwise it reads nothing.
func (r *Reader) Null() bool {
	if r.Next() != 'n' || !r.hasLiteral("null") {
		return false
	}
	r.pos += len("null")
	return true
}

func (r *Reader) hasLiteral(s string) bool {
	return len(r.data)-r.pos >= len(s) && string(r.data[r.pos:r.pos+len(s)]) == s
}

// enter and leave count how deep the reader is in arrays and objects.
func (r *Reader) enter() error {
	if r.depth++; r.depth > r.maxDepth {
		return r.Fail(RuleDepth)
	}
	return nil
}

func (r *Reader) leave() { r.depth-- }

// Object reads an object. For each of its names it calls member, which must read the value with one
// of the methods of the Reader. Object does not check whether a name occurs twice: member has to.
// The name shares memory with the input and must not be changed (see [Reader.Text]). If member
// returns an error, Object stops and returns it, with the name added to its path if it is an
// [*Error].
func (r *Reader) Object(member func(name []byte) error) error {
	if !r.accept('{') {
		return r.Fail("must be an object")
	}
	if err := r.enter(); err != nil {
		return err
	}
	defer r.leave()
	if r.accept('}') {
		return nil
	}
	for {
		if r.Next() != '"' {
			return r.Fail(RuleSyntax)
		}
		name, err := r.text()
		if err != nil {
			return err
		}
		if !r.accept(':') {
			return r.Fail(RuleSyntax)
		}
		r.Next()
		if err := member(name); err != nil {
			return within(string(name), err)
		}
		if r.accept('}') {
			return nil
		}
		if !r.accept(',') {
			return r.Fail(RuleSyntax)
		}
	}
}

// Array reads an array. For each of its values it calls element, which must read the value, with
// one of the methods here. If element returns an error, Array stops and returns it, with the
// index added to its path if it is an [*Error].
func (r *Reader) Array(element func() error) error {
	if !r.accept('[') {
		return r.Fail("must be an array")
	}
	if err := r.enter(); err != nil {
		return err
	}
	defer r.leave()
	if r.accept(']') {
		return nil
	}
	for i := 0; ; i++ {
		r.Next()
		if err := element(); err != nil {
			return within(i, err)
		}
		if r.accept(']') {
			return nil
		}
		if !r.accept(',') {
			return r.Fail(RuleSyntax)
		}
	}
}

// Text reads a string and returns what it means, without quotes and escapes, in valid UTF-8. Half a
// surrogate pair becomes U+FFFD. The result may share memory with the input: the caller must not
// change it.
func (r *Reader) Text() ([]byte, error) {
	if r.Next() != '"' {
		return nil, r.Fail("must be a string")
	}
	return r.text()
}

// text reads the string that begins at the current position.
func (r *Reader) text() ([]byte, error) {
	start := r.pos + 1
	for i := start; i < len(r.data); i++ {
		switch c := r.data[i]; {
		case c == '"':
			r.pos = i + 1
			return r.validUTF8(r.data[start:i]), nil
		case c == '\\':
			return r.escapedText(start, i)
		case c < ' ':
			return nil, r.FailAt(i, RuleSyntax)
		}
	}
	return nil, r.FailAt(len(r.data), RuleTruncated)
}

// escapedText reads the rest of a string that begins at start and has its first escape at i.
func (r *Reader) escapedText(start, i int) ([]byte, error) {
	out := append(make([]byte, 0, i-start+32), r.data[start:i]...)
	for i < len(r.data) {
		switch c := r.data[i]; {
		case c == '"':
			r.pos = i + 1
			return r.validUTF8(out), nil
		case c < ' ':
			return nil, r.FailAt(i, RuleSyntax)
		case c == '\\':
			char, size := r.escape(i)
			if size == 0 {
				return nil, r.FailAt(i, RuleSyntax)
			}
			out = utf8.AppendRune(out, char)
			i += size
		default:
			out = append(out, c)
			i++
		}
	}
	return nil, r.FailAt(len(r.data), RuleTruncated)
}

// validUTF8 returns text with U+FFFD for each byte that is not UTF-8.
func (r *Reader) validUTF8(text []byte) []byte {
	if r.valid {
		return text
	}
	return bytes.Map(func(char rune) rune { return char }, text)
}

// skipText reads the string that begins at the current position as text does, and drops it.
func (r *Reader) skipText() error {
	for i := r.pos + 1; i < len(r.data); {
		switch c := r.data[i]; {
		case c == '"':
			r.pos = i + 1
			return nil
		case c < ' ':
			return r.FailAt(i, RuleSyntax)
		case c == '\\':
			_, size := r.escape(i)
			if size == 0 {
				return r.FailAt(i, RuleSyntax)
			}
			i += size
		default:
			i++
		}
	}
	return r.FailAt(len(r.data), RuleTruncated)
}

// escape decodes the escape at i. A size of 0 means invalid syntax. An escape that the end of the
// input cuts off after the backslash has size 1.
func (r *Reader) escape(i int) (char rune, size int) {
	if i+1 == len(r.data) {
		return utf8.RuneError, 1
	}
	switch c := r.data[i+1]; c {
	case '"', '\\', '/':
		return rune(c), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return r.escapedRune(i)
	default:
		return 0, 0
	}
}

// escapedRune decodes \uXXXX at i, or a surrogate pair of two. Half a pair is
// U+FFFD, as in encoding/json: UTF-8 cannot express it. A size of 0 means invalid syntax.
func (r *Reader) escapedRune(i int) (char rune, size int) {
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
func (r *Reader) hex4(i int) (rune, bool) {
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

// Number reads a number and returns its digits as they are written. The result shares memory with
// the input: the caller must not change it.
func (r *Reader) Number() ([]byte, error) {
	r.Next()
	start := r.pos
	n := numberLength(r.data[start:])
	if n == 0 {
		return nil, r.Fail(RuleSyntax)
	}
	r.pos += n
	return r.data[start:r.pos], nil
}

// ValidNumber reports whether s is a JSON number, with nothing before or after it.
func ValidNumber[T ~string | ~[]byte](s T) bool {
	return len(s) > 0 && numberLength(s) == len(s)
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

// Value reads any value, with the types of encoding/json with UseNumber: map[string]any, []any,
// string, [json.Number], bool or nil. It returns an error if a name occurs twice in an object.
func (r *Reader) Value() (any, error) {
	switch c := r.Next(); {
	case c == '{':
		return r.Map()
	case c == '[':
		list := []any{}
		err := r.Array(func() error {
			v, err := r.Value()
			list = append(list, v)
			return err
		})
		return list, err
	case c == '"':
		s, err := r.text()
		return string(s), err
	case c == '-' || '0' <= c && c <= '9':
		n, err := r.Number()
		return json.Number(n), err
	default:
		return r.literal()
	}
}

// Map reads an object, with the types of [Reader.Value]. It returns an error for any other value.
func (r *Reader) Map() (map[string]any, error) {
	m := map[string]any{}
	err := r.Object(func(name []byte) error {
		start := r.pos
		v, err := r.Value()
		if err != nil {
			return err
		}
		size := len(m)
		if m[string(name)] = v; len(m) == size {
			return r.FailAt(start, RuleDuplicate)
		}
		return nil
	})
	return m, err
}

func (r *Reader) literal() (any, error) {
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
		return nil, r.Fail(RuleSyntax)
	}
}

// Skip reads any value and discards it. It does not check whether a name occurs twice in an object.
func (r *Reader) Skip() error {
	var err error
	switch c := r.Next(); {
	case c == '{':
		return r.Object(func([]byte) error { return r.Skip() })
	case c == '[':
		return r.Array(r.Skip)
	case c == '"':
		err = r.skipText()
	case c == '-' || '0' <= c && c <= '9':
		_, err = r.Number()
	default:
		_, err = r.literal()
	}
	return err
}

// Raw reads any value as [Reader.Skip] does, and returns a copy of its bytes.
func (r *Reader) Raw() (json.RawMessage, error) {
	r.Next()
	start := r.pos
	if err := r.Skip(); err != nil {
		return nil, err
	}
	return bytes.Clone(r.data[start:r.pos]), nil
}
