package python

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// AppendString appends str(v), which for text is the text itself and for anything else its
// representation.
func (st *State) AppendString(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return st.AppendCopy(b, v)
	case Markup:
		return st.AppendCopy(b, v.Text)
	case *Undefined:
		if v.Loud() {
			return b, v.Fail()
		}
		return b, nil
	}
	return st.AppendRepr(b, v, 0)
}

// AppendCopy appends s as it is.
func (st *State) AppendCopy(b []byte, s string) ([]byte, error) {
	if err := st.Alloc(len(s)); err != nil {
		return b, err
	}
	return append(WithRoom(b, len(s)), s...), nil
}

// WithRoom returns b with room for n more bytes. Unlike append it doubles a large buffer, so that
// filling one up copies each byte about once.
func WithRoom(b []byte, n int) []byte {
	const large = 4 << 10
	if cap(b) < large || cap(b)-len(b) >= n {
		return b
	}
	return append(make([]byte, 0, 2*cap(b)+n), b...)
}

// PieceSize is how much of a long text is worked on between two looks at the budget.
const PieceSize = 4 << 10

// Piece returns the first characters of s: all of a short text.
func Piece(s string) string {
	if len(s) <= PieceSize {
		return s
	}
	n := PieceSize
	for n > PieceSize-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Convert appends what f makes of s, piece by piece: each is asked for before, and if it has grown,
// once more. What f makes of a character may not depend on those around it.
func (st *State) Convert(b []byte, s string, f func(b []byte, s string) []byte) ([]byte, error) {
	for s != "" {
		p := Piece(s)
		if err := st.Alloc(len(p)); err != nil {
			return b, err
		}
		before := len(b)
		b = f(WithRoom(b, len(p)), p)
		if grown := len(b) - before - len(p); grown > 0 {
			if err := st.Alloc(grown); err != nil {
				return b, err
			}
		}
		s = s[len(p):]
	}
	return b, nil
}

// Text is str(v), and how safe it is.
func (st *State) Text(v any) (s string, safe Safety, err error) {
	switch v := v.(type) {
	case string:
		return v, NotSafe, nil
	case Markup:
		return v.Text, v.Safety, nil
	}
	b, err := st.AppendString(nil, v)
	return string(b), NotSafe, err
}

// AppendEscaped appends str(v), escaped for the template's format; markup as it is.
func (st *State) AppendEscaped(b []byte, v any) ([]byte, error) {
	if m, ok := v.(Markup); ok {
		return st.AppendCopy(b, m.Text)
	}
	s, _, err := st.Text(v)
	if err != nil {
		return b, err
	}
	return st.Convert(b, s, st.Escaper)
}

// Escape is str(v), escaped for the template's format.
func (st *State) Escape(v any) (Markup, error) {
	if m, ok := v.(Markup); ok {
		return m, nil
	}
	b, err := st.AppendEscaped(nil, v)
	return Markup{Text: string(b), Safety: SafeText}, err
}

// AppendRepr appends Python's repr(v).
func (st *State) AppendRepr(b []byte, v any, depth int) ([]byte, error) {
	if depth > st.Limits.Depth {
		return b, TooDeep(st.Limits.Depth)
	}
	if err := st.Step(); err != nil {
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
	case BigInt:
		return st.AppendCopy(b, string(v))
	case float64:
		return AppendFloat(b, v), nil
	case string:
		return st.appendQuoted(b, v)
	case Markup:
		b, err := st.appendQuoted(append(b, "Markup("...), v.Text)
		return append(b, ')'), err
	case *Undefined:
		if v.Loud() {
			return b, v.Fail()
		}
		return append(b, "Undefined"...), nil
	case []any:
		return st.appendItems(b, "[", v, "]", depth)
	case map[string]any:
		return st.AppendDict(b, st.Wrap(v).(*Dict), depth)
	case *List:
		return st.appendItems(b, "[", v.Items, "]", depth)
	case *Tuple:
		if len(v.Items) == 1 {
			return st.appendItems(b, "(", v.Items, ",)", depth)
		}
		return st.appendItems(b, "(", v.Items, ")", depth)
	case *Dict:
		return st.AppendDict(b, v, depth)
	case *View:
		items, err := st.Collect(v)
		if err != nil {
			return b, err
		}
		return st.appendItems(append(append(b, "dict_"...), v.Kind.String()...), "([", items, "])", depth)
	case *Range:
		return appendRange(b, v), nil
	case Represented:
		return v.AppendRepr(st, b, depth)
	}
	return append(append(append(b, '<'), TypeName(v)...), '>'), nil
}

func appendRange(b []byte, r *Range) []byte {
	b = strconv.AppendInt(append(b, "range("...), r.Start, 10)
	b = strconv.AppendInt(append(b, ", "...), r.Stop, 10)
	if r.Step != 1 {
		b = strconv.AppendInt(append(b, ", "...), r.Step, 10)
	}
	return append(b, ')')
}

func (st *State) appendItems(
	b []byte, begin string, items []any, end string, depth int,
) ([]byte, error) {
	if err := st.Alloc(4 * len(items)); err != nil {
		return b, err
	}
	b = append(b, begin...)
	for i, item := range items {
		if i > 0 {
			b = append(b, ", "...)
		}
		var err error
		if b, err = st.AppendRepr(b, st.Normal(item), depth+1); err != nil {
			return b, err
		}
	}
	return append(b, end...), nil
}

// AppendDict appends the repr() of a dict.
func (st *State) AppendDict(b []byte, d *Dict, depth int) ([]byte, error) {
	keys, values := d.Keys, d.Values // printing a loop runs its test, which may change the dict
	if err := st.Alloc(4 * len(keys)); err != nil {
		return b, err
	}
	b = append(b, '{')
	for i := range keys {
		if i > 0 {
			b = append(b, ", "...)
		}
		var err error
		if b, err = st.AppendRepr(b, keys[i], depth+1); err != nil {
			return b, err
		}
		if b, err = st.AppendRepr(append(b, ": "...), values[i], depth+1); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

// AppendFloat writes a float as Python does: the shortest form that reads back the same, with a
// point or an exponent.
func AppendFloat(b []byte, f float64) []byte {
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
func (st *State) appendQuoted(b []byte, s string) ([]byte, error) {
	if err := st.Classify(s); err != nil {
		return b, err
	}
	quote := quoteFor(s)
	b, err := st.Convert(append(b, quote), s,
		func(b []byte, s string) []byte { return appendUnquoted(b, s, quote) })
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
func (st *State) asciiRepr(v any) (string, error) {
	b, err := st.AppendRepr(nil, v, 0)
	if err != nil || IsASCII(string(b)) {
		return string(b), err
	}
	const longest = 10 // \U0001f600
	if err := st.AllocTimes(longest, int64(len(b))); err != nil {
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

// Quoted is a name of the template for an error message.
func Quoted(name string) string {
	name = fault.Near(name)
	quote := quoteFor(name)
	return string(append(appendUnquoted([]byte{quote}, name, quote), quote))
}

// ShortRepr is a literal of the template for an error message.
func ShortRepr(v any) string {
	switch v := v.(type) {
	case string:
		return Quoted(v)
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return "of type " + TypeName(v)
}
