package event

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// appendValue appends any value at the given depth. It encodes the types that Decode makes and
// a few others itself and leaves the rest to encoding/json. The error is a *ValidationError with
// paths relative to v; the caller must drop the bytes then.
func appendValue(b []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return appendNull(b), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return appendString(b, v), nil
	case json.Number:
		if v == "" || numberLength(v) != len(v) {
			return b, invalid("must be a JSON number")
		}
		return append(b, v...), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case float64:
		return appendFloat(b, v)
	case []string:
		return appendStrings(b, v), nil
	case []any:
		return appendList(b, v, depth)
	case map[string]any:
		return appendObject(b, v, depth)
	default:
		return appendOther(b, v, depth)
	}
}

func appendNull(b []byte) []byte { return append(b, "null"...) }

func appendStrings(b []byte, list []string) []byte {
	if list == nil {
		return appendNull(b)
	}
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}

func appendList(b []byte, list []any, depth int) ([]byte, error) {
	if list == nil {
		return appendNull(b), nil
	}
	if depth > MaxDepth {
		return b, invalid(ruleDepth)
	}
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendValue(b, v, depth+1); err != nil {
			return b, under(pathOfElement(i), err)
		}
	}
	return append(b, ']'), nil
}

func appendObject(b []byte, m map[string]any, depth int) ([]byte, error) {
	if m == nil {
		return appendNull(b), nil
	}
	if depth > MaxDepth {
		return b, invalid(ruleDepth)
	}
	var few [16]string // on the stack, enough for most objects
	names := few[:0]
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(b, '{')
	for _, name := range names {
		b = append(appendString(appendComma(b), name), ':')
		var err error
		if b, err = appendValue(b, m[name], depth+1); err != nil {
			return b, under(pathOf(name), err)
		}
	}
	return append(b, '}'), nil
}

// appendFloat appends the shortest form that decodes to the same number.
func appendFloat(b []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return b, invalid("must be a finite number")
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, 64), nil
}

// appendOther appends v as encoding/json encodes it.
func appendOther(b []byte, v any, depth int) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return b, invalid("cannot be encoded: " + err.Error())
	}
	return appendRaw(b, out.Bytes(), depth)
}

// appendRaw appends JSON without its white space.
func appendRaw(b []byte, raw json.RawMessage, depth int) ([]byte, error) {
	r := reader{data: raw, depth: depth - 1}
	var out bytes.Buffer
	if r.skip() != nil || !r.atEnd() || !utf8.Valid(raw) || json.Compact(&out, raw) != nil {
		return b, invalid("must be valid JSON, not nested too deep")
	}
	return append(b, out.Bytes()...), nil
}

// invalid returns a problem whose path the callers add.
func invalid(rule string) error {
	return &ValidationError{Problems: []Problem{{Code: CodeInvalid, Rule: rule}}}
}

// under adds a path in front of those of err.
func under(path string, err error) error {
	var p Problems
	p.AddError(path, err)
	return p.Err()
}

// appendString appends s as a JSON string.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			char, size := utf8.DecodeRuneInString(s[i:])
			if char == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = utf8.AppendRune(dst, utf8.RuneError)
				start = i + 1
			}
			i += size
			continue
		}
		if c < ' ' || c == '"' || c == '\\' {
			dst = append(dst, s[start:i]...)
			dst = appendEscape(dst, c)
			start = i + 1
		}
		i++
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	const hexDigits = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
	}
}
