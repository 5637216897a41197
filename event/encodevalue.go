package event

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// value writes any value, which stands at the given depth. The types that JSON
// decodes to and the usual ones of Go are written here, the rest by
// encoding/json. An error is a *ValidationError whose path begins at v.
func (w *objectWriter) value(v any, depth int) error {
	switch v := v.(type) {
	case nil:
		w.null()
	case bool:
		w.buf = strconv.AppendBool(w.buf, v)
	case string:
		w.buf = appendString(w.buf, v)
	case json.Number:
		if v == "" || numberLength(v) != len(v) {
			return invalid("must be a JSON number")
		}
		w.buf = append(w.buf, v...)
	case int:
		w.buf = strconv.AppendInt(w.buf, int64(v), 10)
	case int64:
		w.buf = strconv.AppendInt(w.buf, v, 10)
	case float64:
		return w.float(v)
	case []string:
		w.texts(v)
	case []any:
		return w.list(v, depth)
	case map[string]any:
		return w.object(v, depth)
	default:
		return w.other(v, depth)
	}
	return nil
}

func (w *objectWriter) null() { w.buf = append(w.buf, "null"...) }

func (w *objectWriter) texts(list []string) {
	if list == nil {
		w.null()
		return
	}
	w.buf = append(w.buf, '[')
	for i, s := range list {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.buf = appendString(w.buf, s)
	}
	w.buf = append(w.buf, ']')
}

func (w *objectWriter) list(list []any, depth int) error {
	if list == nil {
		w.null()
		return nil
	}
	if depth > MaxDepth {
		return invalid(ruleDepth)
	}
	w.buf = append(w.buf, '[')
	for i, v := range list {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		if err := w.value(v, depth+1); err != nil {
			return under(pathOfElement(i), err)
		}
	}
	w.buf = append(w.buf, ']')
	return nil
}

func (w *objectWriter) object(m map[string]any, depth int) error {
	if m == nil {
		w.null()
		return nil
	}
	if depth > MaxDepth {
		return invalid(ruleDepth)
	}
	var few [16]string // on the stack, enough for most
	names := few[:0]
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	w.open()
	for _, name := range names {
		w.anyName(name)
		if err := w.value(m[name], depth+1); err != nil {
			return under(pathOf(name), err)
		}
	}
	w.close()
	return nil
}

// float writes a number in the shortest form that reads back as the same one.
func (w *objectWriter) float(f float64) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return invalid("must be a finite number")
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	w.buf = strconv.AppendFloat(w.buf, f, format, -1, 64)
	return nil
}

// other writes what encoding/json makes of v.
func (w *objectWriter) other(v any, depth int) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return invalid("cannot be encoded: " + err.Error())
	}
	return w.raw(b.Bytes(), depth)
}

// raw writes a value that is JSON already, without the white space in it.
func (w *objectWriter) raw(raw json.RawMessage, depth int) error {
	r := reader{data: raw, depth: depth - 1}
	if err := r.skip(); err != nil || !r.atEnd() || !utf8.Valid(raw) {
		return invalid("must be valid JSON, not nested too deep")
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return invalid("must be valid JSON")
	}
	w.buf = append(w.buf, b.Bytes()...)
	return nil
}

// invalid returns a broken rule whose path is not known yet.
func invalid(rule string) error {
	return &ValidationError{Problems: []Problem{{Rule: rule}}}
}

// under puts a path in front of those of err.
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
