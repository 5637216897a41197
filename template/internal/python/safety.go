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
	// JSON is what a block that opens or closes JSON, such as {"text": "…"}, with the bracket that
	// ends a list, is outside of strings; "" for all other text.
	JSON string
}

// Safety says where a text can stand as it is. What templates make of a markup is as safe as the
// markup was, unless something else is put into it.
type Safety uint8

// From the least safe to the safest.
const (
	NotSafe      Safety = iota
	SafePart            // text with parts of SafeJSON in it, which may not be escaped for the format
	SafePiece           // a part of SafeDump that can stand inside a JSON string, but not outside
	SafeText            // escaped for the template's format
	SafeAnywhere        // |safe: in HTML in any attribute, in JSON outside of strings too
	SafeJSON            // in templates of JSON, a block that is JSON
	SafeDump            // in templates of JSON, |tojson: every string is escaped for the format
)

// IsJSON reports whether the text can stand outside of a JSON string.
func (s Safety) IsJSON() bool { return s >= SafeAnywhere }

// HasLiterals reports whether strings in the text may not be escaped for the format, because Slack
// takes them literally where they stand in JSON.
func (s Safety) HasLiterals() bool { return s == SafePart || s >= SafeJSON }

// SafetyOf returns how safe a value is; what is no markup is not.
func SafetyOf(v any) Safety {
	m, _ := v.(Markup)
	return m.Safety
}

// TextOf makes a string, or markup if it is safe.
func TextOf(s string, safe Safety) any {
	if safe != NotSafe {
		return Markup{Text: s, Safety: safe}
	}
	return s
}

// Mixed is how safe a text is that is made of several parts, those that are not safe having been
// escaped for the format.
func Mixed(parts ...any) Safety {
	best, weak, literals := NotSafe, false, false
	var place jsonPlace
	for _, part := range parts {
		s := SafetyOf(part)
		literals = literals || s == SafeJSON || s == SafePart
		if s.IsJSON() && best.IsJSON() && max(s, best) == SafeDump && s != best {
			best, s = min(s, best), min(s, best) // not all of its strings are escaped
		}
		best = max(best, s)
		text, ok := AsString(part)
		switch {
		case !s.IsJSON():
			weak = weak || !ok || !IsJSONGap(text)
		case s >= SafeJSON && place != outside: // its quotes would end the string
			weak = true
		}
		if s.IsJSON() && !weak {
			place = place.after(text)
		}
	}
	switch {
	case best == NotSafe || !weak:
		return best
	case literals:
		return SafePart
	}
	return SafeText
}

// Mix is markup of several parts, whose text is s.
func (st *State) Mix(s string, parts ...any) (any, error) {
	m := Markup{Text: s, Safety: Mixed(parts...)}
	if !st.JSON || m.Safety != SafeText {
		return m, nil
	}
	opens := false
	for _, part := range parts {
		p, ok := part.(Markup)
		text, _ := AsString(part)
		if opens = opens || p.JSON != ""; !p.Safety.IsJSON() && p.JSON == "" && (ok || !IsJSONGap(text)) {
			return m, nil
		}
	}
	if !opens {
		return m, nil
	}
	if err := st.AllocTimes(2, int64(len(s))); err != nil {
		return nil, err
	}
	var b []byte
	for _, part := range parts {
		text, _ := AsString(part)
		if p, _ := part.(Markup); p.JSON != "" {
			text = p.JSON
		}
		var err error
		if b, err = st.AppendCopy(b, text); err != nil {
			return nil, err
		}
	}
	m.JSON = string(b)
	return m, nil
}

// Filled is how safe a format is once values have been put into it, and any other text that has
// been changed in a way that may break JSON.
func Filled(format Safety) Safety {
	switch format {
	case NotSafe:
		return NotSafe
	case SafeJSON, SafePart:
		return SafePart
	}
	return SafeText
}

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
		return Markup{Text: s, Safety: SafeDump}
	case st.Format == escaping.Markdown:
		return s
	}
	return Markup{Text: s, Safety: SafeText}
}

// JSONEscape is what strings inside of JSON are escaped with where the JSON is the result or a part of
// it, nil for nothing.
func (st *State) JSONEscape() func([]byte, string) []byte {
	if !st.Autoescape || st.Format == escaping.Plain {
		return nil
	}
	return st.Escaper
}

// SlackEscape is JSONEscape for a format in which some strings are taken literally.
func (st *State) SlackEscape() func([]byte, string) []byte {
	if st.Format != escaping.Mrkdwn {
		return nil
	}
	return st.JSONEscape()
}
