package template

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// appendString appends str(v), which for text is the text itself and for anything else its
// representation.
func (st *state) appendString(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return st.appendCopy(b, v)
	case markup:
		return st.appendCopy(b, v.text)
	case *undefined:
		if v.loud() {
			return b, v.fail()
		}
		return b, nil
	}
	return st.appendRepr(b, v, 0)
}

// appendCopy appends s as it is.
func (st *state) appendCopy(b []byte, s string) ([]byte, error) {
	if err := st.alloc(len(s)); err != nil {
		return b, err
	}
	return append(withRoom(b, len(s)), s...), nil
}

// withRoom returns b with room for n more bytes. Unlike append it doubles a large buffer, so that
// filling one up copies each byte about once.
func withRoom(b []byte, n int) []byte {
	const large = 4 << 10
	if cap(b) < large || cap(b)-len(b) >= n {
		return b
	}
	return append(make([]byte, 0, 2*cap(b)+n), b...)
}

// pieceSize is how much of a long text is worked on between two looks at the budget.
const pieceSize = 4 << 10

// piece returns the first characters of s: all of a short text.
func piece(s string) string {
	if len(s) <= pieceSize {
		return s
	}
	n := pieceSize
	for n > pieceSize-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// convert appends what f makes of s, piece by piece: each is asked for before, and if it has grown,
// once more. What f makes of a character may not depend on those around it.
func (st *state) convert(b []byte, s string, f func(b []byte, s string) []byte) ([]byte, error) {
	for s != "" {
		p := piece(s)
		if err := st.alloc(len(p)); err != nil {
			return b, err
		}
		before := len(b)
		b = f(withRoom(b, len(p)), p)
		if grown := len(b) - before - len(p); grown > 0 {
			if err := st.alloc(grown); err != nil {
				return b, err
			}
		}
		s = s[len(p):]
	}
	return b, nil
}

// text is str(v), and how safe it is.
func (st *state) text(v any) (s string, safe safety, err error) {
	switch v := v.(type) {
	case string:
		return v, notSafe, nil
	case markup:
		return v.text, v.safety, nil
	}
	b, err := st.appendString(nil, v)
	return string(b), notSafe, err
}

// appendEscaped appends str(v), escaped for the template's format; markup as it is.
func (st *state) appendEscaped(b []byte, v any) ([]byte, error) {
	if m, ok := v.(markup); ok {
		return st.appendCopy(b, m.text)
	}
	s, _, err := st.text(v)
	if err != nil {
		return b, err
	}
	return st.convert(b, s, st.escaper)
}

// escape is str(v), escaped for the template's format.
func (st *state) escape(v any) (markup, error) {
	if m, ok := v.(markup); ok {
		return m, nil
	}
	b, err := st.appendEscaped(nil, v)
	return markup{string(b), safeText}, err
}

// appendRepr appends Python's repr(v).
func (st *state) appendRepr(b []byte, v any, depth int) ([]byte, error) {
	if depth > st.limits.Depth {
		return b, tooDeep(st.limits.Depth)
	}
	if err := st.step(); err != nil {
		return b, err
	}
	switch v := v.(type) {
	case nil:
		return append(b, "None"...), nil
	case bool:
		if v {
			return append(b, "True"...), nil
		}
		return append(b, "False"...), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case bigInteger:
		return st.appendCopy(b, string(v))
	case float64:
		return appendFloat(b, v), nil
	case string:
		return st.appendQuoted(b, v)
	case markup:
		b, err := st.appendQuoted(append(b, "Markup("...), v.text)
		return append(b, ')'), err
	case *undefined:
		if v.loud() {
			return b, v.fail()
		}
		return append(b, "Undefined"...), nil
	case []any:
		return st.appendItems(b, "[", v, "]", depth)
	case map[string]any:
		return st.appendDict(b, st.wrap(v).(*dict), depth)
	case *list:
		return st.appendItems(b, "[", v.items, "]", depth)
	case *tuple:
		if len(v.items) == 1 {
			return st.appendItems(b, "(", v.items, ",)", depth)
		}
		return st.appendItems(b, "(", v.items, ")", depth)
	case *dict:
		return st.appendDict(b, v, depth)
	case *view:
		items, err := st.collect(v)
		if err != nil {
			return b, err
		}
		return st.appendItems(append(append(b, "dict_"...), v.kind.String()...), "([", items, "])", depth)
	case *rangeValue:
		return appendRange(b, v), nil
	case represented:
		return v.appendRepr(st, b, depth)
	}
	return append(append(append(b, '<'), typeName(v)...), '>'), nil
}

func appendRange(b []byte, r *rangeValue) []byte {
	b = strconv.AppendInt(append(b, "range("...), r.start, 10)
	b = strconv.AppendInt(append(b, ", "...), r.stop, 10)
	if r.step != 1 {
		b = strconv.AppendInt(append(b, ", "...), r.step, 10)
	}
	return append(b, ')')
}

func (st *state) appendItems(b []byte, begin string, items []any, end string, depth int) ([]byte, error) {
	if err := st.alloc(4 * len(items)); err != nil {
		return b, err
	}
	b = append(b, begin...)
	for i, item := range items {
		if i > 0 {
			b = append(b, ", "...)
		}
		var err error
		if b, err = st.appendRepr(b, st.normal(item), depth+1); err != nil {
			return b, err
		}
	}
	return append(b, end...), nil
}

func (st *state) appendDict(b []byte, d *dict, depth int) ([]byte, error) {
	if err := st.alloc(4 * len(d.keys)); err != nil {
		return b, err
	}
	b = append(b, '{')
	for i := range d.keys {
		if i > 0 {
			b = append(b, ", "...)
		}
		var err error
		if b, err = st.appendRepr(b, d.keys[i], depth+1); err != nil {
			return b, err
		}
		if b, err = st.appendRepr(append(b, ": "...), d.values[i], depth+1); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

// appendFloat writes a float as Python does: the shortest form that reads back the same, with a
// point or an exponent.
func appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(b, "inf"...)
	case math.IsInf(f, -1):
		return append(b, "-inf"...)
	case math.IsNaN(f):
		return append(b, "nan"...)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, 64)
	for _, c := range b[start:] {
		if c == '.' {
			return b
		}
	}
	return append(b, ".0"...)
}

// appendQuoted writes a string literal as Python's repr does.
func (st *state) appendQuoted(b []byte, s string) ([]byte, error) {
	if err := st.classify(s); err != nil {
		return b, err
	}
	quote := quoteFor(s)
	b, err := st.convert(append(b, quote), s, func(b []byte, s string) []byte { return appendUnquoted(b, s, quote) })
	return append(b, quote), err
}

func quoteFor(s string) byte {
	if strings.IndexByte(s, '\'') >= 0 && strings.IndexByte(s, '"') < 0 {
		return '"'
	}
	return '\''
}

// appendUnquoted writes the inside of a string literal.
func appendUnquoted(b []byte, s string, quote byte) []byte {
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r < ' ' || r == 0x7f:
			b = appendHexEscape(b, 'x', r, 2)
		case r < utf8.RuneSelf || unicode.IsPrint(r):
			b = utf8.AppendRune(b, r)
		case r <= 0xff:
			b = appendHexEscape(b, 'x', r, 2)
		case r <= 0xffff:
			b = appendHexEscape(b, 'u', r, 4)
		default:
			b = appendHexEscape(b, 'U', r, 8)
		}
	}
	return b
}

// asciiRepr is Python's ascii(): repr with everything beyond ASCII escaped.
func (st *state) asciiRepr(v any) (string, error) {
	b, err := st.appendRepr(nil, v, 0)
	if err != nil || isASCII(string(b)) {
		return string(b), err
	}
	const longest = 10 // \U0001f600
	if err := st.allocTimes(longest, int64(len(b))); err != nil {
		return "", err
	}
	var out []byte
	for _, r := range string(b) {
		switch {
		case r < utf8.RuneSelf:
			out = append(out, byte(r))
		case r <= 0xff:
			out = appendHexEscape(out, 'x', r, 2)
		case r <= 0xffff:
			out = appendHexEscape(out, 'u', r, 4)
		default:
			out = appendHexEscape(out, 'U', r, 8)
		}
	}
	return string(out), nil
}

func appendHexEscape(b []byte, letter byte, r rune, digits int) []byte {
	b = append(b, '\\', letter)
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[r>>shift&15])
	}
	return b
}

// quoted is a name of the template for an error message.
func quoted(name string) string {
	name = fault.Near(name)
	quote := quoteFor(name)
	return string(append(appendUnquoted([]byte{quote}, name, quote), quote))
}

// shortRepr is a literal of the template for an error message.
func shortRepr(v any) string {
	switch v := v.(type) {
	case string:
		return quoted(v)
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return "of type " + typeName(v)
}
