package template

import (
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// A jsonStyle is a way to write JSON. The zero value is compact, in the order of the entries, with
// characters as they are: what object templates are made of. pythonJSON is what Jinja2's tojson
// writes.
type jsonStyle struct {
	comma, colon string
	sorted       bool
	ascii        bool // escape everything beyond ASCII
	html         bool // escape < > & '
	multiline    bool
	indent       string                          // of multiline
	nan          bool                            // allow NaN and Infinity, which are not JSON
	escape       func(b []byte, s string) []byte // of text that is no markup; nil for nothing
	slack        func(b []byte, s string) []byte // what escape is below keys of Slack's text, see mrkdwnText; nil for other formats
	lenient      bool                            // write what is undefined as null, and what can be gone through as a list
}

func objectJSON() jsonStyle { return jsonStyle{comma: ",", colon: ":"} }

func pythonJSON() jsonStyle {
	return jsonStyle{comma: ", ", colon: ": ", sorted: true, ascii: true, html: true, nan: true}
}

// appendJSON appends a value as JSON. What has no JSON form is an error.
func (st *state) appendJSON(b []byte, v any, style *jsonStyle, depth int) ([]byte, error) {
	if depth > st.limits.Depth {
		return b, tooDeep(st.limits.Depth)
	}
	if err := st.step(); err != nil {
		return b, err
	}
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case bigInteger:
		return st.appendCopy(b, string(v))
	case float64:
		return appendJSONFloat(b, v, style)
	case string:
		if style.escape != nil {
			b, err := st.convert(append(b, '"'), v, func(b []byte, s string) []byte { return appendJSONInside(b, string(style.escape(nil, s)), style) })
			return append(b, '"'), err
		}
		return st.appendJSONString(b, v, style)
	case markup:
		return st.appendJSONString(b, v.text, style)
	case []any:
		return st.appendJSONItems(b, v, style, depth)
	case map[string]any:
		return st.appendJSONDict(b, st.wrap(v).(*dict), style, depth)
	case *list:
		return st.appendJSONItems(b, v.items, style, depth)
	case *tuple:
		return st.appendJSONItems(b, v.items, style, depth)
	case *dict:
		return st.appendJSONDict(b, v, style, depth)
	case *undefined:
		if style.lenient && !v.loud() {
			return append(b, "null"...), nil
		}
		return b, v.fail()
	case *generator, *rangeValue, *view:
		if style.lenient {
			items, err := st.collect(v)
			if err != nil {
				return b, err
			}
			return st.appendJSONItems(b, items, style, depth)
		}
	}
	return b, fault.Errorf(fault.ErrType, "%s has no JSON form", typeName(v))
}

func appendJSONFloat(b []byte, f float64, style *jsonStyle) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		if !style.nan {
			return b, fault.Errorf(fault.ErrType, "a number that is infinite or not a number has no JSON form")
		}
		switch {
		case f > 0:
			return append(b, "Infinity"...), nil
		case f < 0:
			return append(b, "-Infinity"...), nil
		}
		return append(b, "NaN"...), nil
	}
	return appendFloat(b, f), nil
}

func (s *jsonStyle) newline(b []byte, depth int) []byte {
	b = append(b, '\n')
	for ; depth > 0; depth-- {
		b = append(b, s.indent...)
	}
	return b
}

// separate writes what stands before element i.
func (s *jsonStyle) separate(b []byte, i, depth int) []byte {
	if !s.multiline {
		if i > 0 {
			b = append(b, s.comma...)
		}
		return b
	}
	if i > 0 {
		b = append(b, ',')
	}
	return s.newline(b, depth+1)
}

func (s *jsonStyle) end(b []byte, bracket byte, depth int) []byte {
	if s.multiline {
		b = s.newline(b, depth)
	}
	return append(b, bracket)
}

func (st *state) appendJSONItems(b []byte, items []any, style *jsonStyle, depth int) ([]byte, error) {
	if len(items) == 0 {
		return append(b, "[]"...), nil
	}
	if err := st.allocTimes(len(style.indent)*(depth+1)+4, int64(len(items)+1)); err != nil {
		return b, err
	}
	b = append(b, '[')
	for i, item := range items {
		var err error
		if b, err = st.appendJSON(style.separate(b, i, depth), st.normal(item), style, depth+1); err != nil {
			return b, err
		}
	}
	return style.end(b, ']', depth), nil
}

func (st *state) appendJSONDict(b []byte, d *dict, style *jsonStyle, depth int) ([]byte, error) {
	if d.len() == 0 {
		return append(b, "{}"...), nil
	}
	if err := st.allocTimes(len(style.indent)*(depth+1)+entrySize, int64(d.len()+1)); err != nil {
		return b, err
	}
	order, err := st.jsonOrder(d, style)
	if err != nil {
		return b, err
	}
	b = append(b, '{')
	for i, at := range order {
		b = style.separate(b, i, depth)
		switch k := d.keys[at].(type) {
		case string, markup:
			b, err = st.appendJSON(b, k, style, depth+1)
		case nil, bool, int64, float64, bigInteger: // as Python does it: the key's JSON in quotes
			b = append(b, '"')
			b, err = st.appendJSON(b, k, style, depth+1)
			b = append(b, '"')
		default:
			err = fault.Errorf(fault.ErrType, "%s cannot be a key of a JSON object", typeName(k))
		}
		if err != nil {
			return b, err
		}
		if b, err = st.appendJSON(append(b, style.colon...), d.values[at], style.below(d.keys[at]), depth+1); err != nil {
			return b, err
		}
	}
	return style.end(b, '}', depth), nil
}

// below is the style of what stands under the key.
func (s *jsonStyle) below(key any) *jsonStyle {
	if s.slack == nil {
		return s
	}
	of := *s
	of.escape = s.slack
	if name, _ := asString(key); !escaping.MrkdwnText(name) {
		of.escape = nil
	}
	return &of
}

func (st *state) jsonOrder(d *dict, style *jsonStyle) ([]int, error) {
	order := make([]int, d.len())
	for i := range order {
		order[i] = i
	}
	if !style.sorted || d.frozen && !d.ordered {
		return order, nil
	}
	var failed error
	slices.SortStableFunc(order, func(x, y int) int {
		c, _, err := st.order("<", d.keys[x], d.keys[y], 0)
		if err != nil && failed == nil {
			failed = err
		}
		return c
	})
	return order, failed
}

const hexDigits = "0123456789abcdef"

func appendJSONString(b []byte, s string, style *jsonStyle) []byte {
	return append(appendJSONInside(append(b, '"'), s, style), '"')
}

func (st *state) appendJSONString(b []byte, s string, style *jsonStyle) ([]byte, error) {
	b, err := st.convert(append(b, '"'), s, func(b []byte, s string) []byte { return appendJSONInside(b, s, style) })
	return append(b, '"'), err
}

// appendJSONInside appends what stands between the quotes of a JSON string.
func appendJSONInside(b []byte, s string, style *jsonStyle) []byte {
	last := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && (!style.html || c != '<' && c != '>' && c != '&' && c != '\'') {
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
	return append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
