package python

import (
	"encoding/json"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
)

// Markup is text that need not be escaped any more (jinja's Markup).
type Markup struct {
	Text   string
	Safety Safety
}

// Safety says where a text can stand as it is. What templates make of a markup is as safe as the
// markup was, unless something else is put into it.
type Safety uint8

// From the least safe to the safest.
const (
	NotSafe      Safety = iota
	SafeText            // escaped for the template's format
	SafeAnywhere        // |safe: in HTML in any attribute, in JSON outside of strings too
	SafeJSON            // in templates of JSON, a block that is JSON, or a piece of a JSON string
	SafeDump            // in templates of JSON, |tojson: every string is escaped for the format
)

// IsJSON reports whether the text can stand outside of a JSON string.
func (s Safety) IsJSON() bool { return s >= SafeAnywhere }

// SafetyOf returns how safe a value is; what is no markup is not.
func SafetyOf(v any) Safety {
	m, _ := v.(Markup)
	return m.Safety
}

// TextOf makes a string, or markup if it is safe.
func TextOf(s string, safe Safety) any {
	if safe != NotSafe {
		return Markup{s, safe}
	}
	return s
}

// Mixed is how safe a text is that is made of several parts, those that are not safe having been
// escaped for the format.
func Mixed(parts ...any) Safety {
	best, weak := NotSafe, false
	for _, part := range parts {
		s := SafetyOf(part)
		if s.IsJSON() && best.IsJSON() && max(s, best) == SafeDump && s != best {
			best, s = min(s, best), min(s, best) // not all of its strings are escaped
		}
		best = max(best, s)
		if !s.IsJSON() {
			text, ok := AsString(part)
			weak = weak || !ok || !IsJSONGap(text)
		}
	}
	if best != NotSafe && weak {
		return SafeText
	}
	return best
}

// Filled is how safe a format is once values have been put into it.
func Filled(format Safety) Safety { return min(format, SafeText) }

// IsJSONGap reports whether s is nothing but blanks and at most one comma.
func IsJSONGap(s string) bool {
	return strings.Trim(s, " \t\r\n,") == "" && strings.Count(s, ",") <= 1
}

// InsideJSON reports whether s can stand inside a JSON string as it is.
func InsideJSON(s string) bool {
	return strings.IndexByte(s, '"') < 0 && strings.IndexByte(s, '\\') < 0 &&
		strings.IndexFunc(s, func(r rune) bool { return r < ' ' }) < 0 ||
		json.Valid([]byte(`"`+s+`"`))
}

// IsJSONScalar reports whether s is a number, true, false or null.
func IsJSONScalar(s string) bool {
	const longest = 64
	return s != "" && len(s) <= longest && strings.IndexByte(`"[{ `+"\t\r\n", s[0]) < 0 &&
		json.Valid([]byte(s))
}

// AutoSafety is how safe the text is that a filter has escaped where escaping is on.
func (st *State) AutoSafety() Safety {
	if st.Autoescape {
		return SafeText
	}
	return NotSafe
}

// JSONMarkup is text that is JSON. In Markdown it would be read as Markdown: there it stays text.
func (st *State) JSONMarkup(s string) any {
	switch {
	case st.JSON:
		return Markup{s, SafeDump}
	case st.Format == escaping.Markdown:
		return s
	}
	return Markup{s, SafeText}
}

// JSONEscape is what strings inside of JSON are escaped with, nil for nothing.
func (st *State) JSONEscape() func([]byte, string) []byte {
	if st.Format == escaping.Mrkdwn && st.Autoescape {
		return escaping.AppendMrkdwn
	}
	return nil
}
