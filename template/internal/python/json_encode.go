package python

import (
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// A JSONStyle is a way to write JSON. The zero value is compact, in the order of the entries, with
// characters as they are: what object templates are made of. PythonJSON is what Jinja2's tojson
// writes.
type JSONStyle struct {
	Comma, Colon string
	Sorted       bool
	ascii        bool // escape everything beyond ASCII
	HTML         bool // escape < > & '
	Multiline    bool
	Indent       string // of multiline
	NaN          bool   // allow NaN and Infinity, which are not JSON
	Lenient      bool   // write what is undefined as null, and what can be gone through as a list

	// Escape is for text that is no markup; nil for nothing.
	Escape func(b []byte, s string) []byte
	// Slack is what Escape is below keys of Slack's text, see escaping.MrkdwnText; nil for other
	// formats.
	Slack func(b []byte, s string) []byte
}

// ObjectJSON is the style of what object templates are made of.
func ObjectJSON() JSONStyle { return JSONStyle{Comma: ",", Colon: ":"} }

// PythonJSON is the style of Jinja2's tojson.
func PythonJSON() JSONStyle {
	return JSONStyle{Comma: ", ", Colon: ": ", Sorted: true, ascii: true, HTML: true, NaN: true}
}

// AppendJSON appends a value as JSON. What has no JSON form is an error.
func (st *State) AppendJSON(b []byte, v any, style *JSONStyle, depth int) ([]byte, error) {
	if depth > st.Limits.Depth {
		return b, TooDeep(st.Limits.Depth)
	}
	if err := st.Step(); err != nil {
		return b, err
	}
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case BigInt:
		return st.AppendCopy(b, string(v))
	case float64:
		return appendJSONFloat(b, v, style)
	case string:
		if style.Escape != nil {
			b, err := st.Convert(append(b, '"'), v,
				func(b []byte, s string) []byte {
					return AppendJSONInside(b, string(style.Escape(nil, s)), style)
				})
			return append(b, '"'), err
		}
		return st.AppendJSONString(b, v, style)
	case Markup:
		if style.Escape != nil && v.Safety.HasLiterals() {
			if err := st.Alloc(len(v.Text)); err != nil {
				return b, err
			}
			return st.AppendJSONString(b, string(escaping.AppendNoControls(nil, v.Text)), style)
		}
		return st.AppendJSONString(b, v.Text, style)
	case []any:
		return st.appendJSONItems(b, v, style, depth)
	case map[string]any:
		return st.appendJSONDict(b, st.Wrap(v).(*Dict), style, depth)
	case *List:
		return st.appendJSONItems(b, v.Items, style, depth)
	case *Tuple:
		return st.appendJSONItems(b, v.Items, style, depth)
	case *Dict:
		return st.appendJSONDict(b, v, style, depth)
	case *Undefined:
		if style.Lenient && !v.Loud() {
			return append(b, "null"...), nil
		}
		return b, v.Fail()
	case *Generator, *Range, *View:
		if style.Lenient {
			items, err := st.Collect(v)
			if err != nil {
				return b, err
			}
			return st.appendJSONItems(b, items, style, depth)
		}
	}
	return b, fault.Errorf(fault.ErrType, "%s has no JSON form", TypeName(v))
}

func appendJSONFloat(b []byte, f float64, style *JSONStyle) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		if !style.NaN {
			return b, fault.Errorf(fault.ErrType,
				"a number that is infinite or not a number has no JSON form")
		}
		switch {
		case f > 0:
			return append(b, "Infinity"...), nil
		case f < 0:
			return append(b, "-Infinity"...), nil
		}
		return append(b, "NaN"...), nil
	}
	return AppendFloat(b, f), nil
}

func (s *JSONStyle) newline(b []byte, depth int) []byte {
	b = append(b, '\n')
	for ; depth > 0; depth-- {
		b = append(b, s.Indent...)
	}
	return b
}

// separate writes what stands before element i.
func (s *JSONStyle) separate(b []byte, i, depth int) []byte {
	if !s.Multiline {
		if i > 0 {
			b = append(b, s.Comma...)
		}
		return b
	}
	if i > 0 {
		b = append(b, ',')
	}
	return s.newline(b, depth+1)
}

func (s *JSONStyle) end(b []byte, bracket byte, depth int) []byte {
	if s.Multiline {
		b = s.newline(b, depth)
	}
	return append(b, bracket)
}

func (st *State) appendJSONItems(
	b []byte, items []any, style *JSONStyle, depth int,
) ([]byte, error) {
	if len(items) == 0 {
		return append(b, "[]"...), nil
	}
	if err := st.AllocTimes(len(style.Indent)*(depth+1)+4, int64(len(items)+1)); err != nil {
		return b, err
	}
	b = append(b, '[')
	for i, item := range items {
		var err error
		if b, err = st.AppendJSON(style.separate(b, i, depth), st.Normal(item), style,
			depth+1); err != nil {
			return b, err
		}
	}
	return style.end(b, ']', depth), nil
}

func (st *State) appendJSONDict(b []byte, d *Dict, style *JSONStyle, depth int) ([]byte, error) {
	if d.Len() == 0 {
		return append(b, "{}"...), nil
	}
	if err := st.AllocTimes(len(style.Indent)*(depth+1)+EntrySize, int64(d.Len()+1)); err != nil {
		return b, err
	}
	order, err := st.jsonOrder(d, style)
	if err != nil {
		return b, err
	}
	keys, values := d.Keys, d.Values // going through a loop runs its test, which may change the dict
	b = append(b, '{')
	for i, at := range order {
		b = style.separate(b, i, depth)
		switch k := keys[at].(type) {
		case string, Markup:
			b, err = st.AppendJSON(b, k, style, depth+1)
		case nil, bool, int64, float64, BigInt: // as Python does it: the key's JSON in quotes
			b = append(b, '"')
			b, err = st.AppendJSON(b, k, style, depth+1)
			b = append(b, '"')
		default:
			err = fault.Errorf(fault.ErrType, "%s cannot be a key of a JSON object", TypeName(k))
		}
		if err != nil {
			return b, err
		}
		if b, err = st.AppendJSON(append(b, style.Colon...), values[at], style.below(keys[at]),
			depth+1); err != nil {
			return b, err
		}
	}
	return style.end(b, '}', depth), nil
}

// below is the style of what stands under the key.
func (s *JSONStyle) below(key any) *JSONStyle {
	if s.Slack == nil {
		return s
	}
	of := *s
	of.Escape = s.Slack
	if name, _ := AsString(key); !escaping.MrkdwnText(name) {
		of.Escape = nil
	}
	return &of
}

func (st *State) jsonOrder(d *Dict, style *JSONStyle) ([]int, error) {
	order := make([]int, d.Len())
	for i := range order {
		order[i] = i
	}
	if !style.Sorted || d.Frozen && !d.Ordered {
		return order, nil
	}
	var failed error
	slices.SortStableFunc(order, func(x, y int) int {
		c, _, err := st.Order("<", d.Keys[x], d.Keys[y], 0)
		if err != nil && failed == nil {
			failed = err
		}
		return c
	})
	return order, failed
}

const hexDigits = "0123456789abcdef"

// AppendJSONString appends s as a JSON string.
func AppendJSONString(b []byte, s string, style *JSONStyle) []byte {
	return append(AppendJSONInside(append(b, '"'), s, style), '"')
}

// AppendJSONString appends s as a JSON string, and asks for what it costs.
func (st *State) AppendJSONString(b []byte, s string, style *JSONStyle) ([]byte, error) {
	b, err := st.Convert(append(b, '"'), s,
		func(b []byte, s string) []byte { return AppendJSONInside(b, s, style) })
	return append(b, '"'), err
}

// AppendJSONInside appends what stands between the quotes of a JSON string.
func AppendJSONInside(b []byte, s string, style *JSONStyle) []byte {
	last := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' &&
				(!style.HTML || c != '<' && c != '>' && c != '&' && c != '\'') {
				i++
				continue
			}
			b = appendJSONEscape(append(b, s[last:i]...), rune(c))
			i++
			last = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if !style.ascii && (r != utf8.RuneError || n > 1) {
			i += n
			continue
		}
		b = append(b, s[last:i]...)
		if style.ascii {
			b = appendJSONEscape(b, r)
		} else {
			b = utf8.AppendRune(b, r) // what is not UTF-8 becomes U+FFFD
		}
		i += n
		last = i
	}
	return append(b, s[last:]...)
}

func appendJSONEscape(b []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	}
	if r > 0xffff {
		r -= 0x10000
		b = appendHex4(b, 0xd800+(r>>10))
		return appendHex4(b, 0xdc00+(r&0x3ff))
	}
	return appendHex4(b, r)
}

func appendHex4(b []byte, r rune) []byte {
	return append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15],
		hexDigits[r&15])
}
