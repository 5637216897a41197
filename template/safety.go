package template

import (
	"encoding/json"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
)

// markup is text that need not be escaped any more (jinja's Markup).
type markup struct {
	text   string
	safety safety
}

// safety says where a text can stand as it is. What templates make of a markup is as safe as the
// markup was, unless something else is put into it.
type safety uint8

const (
	notSafe      safety = iota
	safeText            // escaped for the template's format
	safeAnywhere        // |safe: in HTML in any attribute, in JSON outside of strings too
	safeJSON            // in templates of JSON, blocks that are JSON: JSON, or a piece of a JSON string
	safeDump            // in templates of JSON, |tojson: the same, with every string escaped for the format
)

// isJSON reports whether the text can stand outside of a JSON string.
func (s safety) isJSON() bool { return s >= safeAnywhere }

// safetyOf returns how safe a value is; what is no markup is not.
func safetyOf(v any) safety {
	m, _ := v.(markup)
	return m.safety
}

// textOf makes a string, or markup if it is safe.
func textOf(s string, safe safety) any {
	if safe != notSafe {
		return markup{s, safe}
	}
	return s
}

// mixed is how safe a text is that is made of several parts, those that are not safe having been
// escaped for the format.
func mixed(parts ...any) safety {
	best, weak := notSafe, false
	for _, part := range parts {
		s := safetyOf(part)
		if s.isJSON() && best.isJSON() && max(s, best) == safeDump && s != best {
			best, s = min(s, best), min(s, best) // not all of its strings are escaped
		}
		best = max(best, s)
		if !s.isJSON() {
			text, ok := asString(part)
			weak = weak || !ok || !isJSONGap(text)
		}
	}
	if best != notSafe && weak {
		return safeText
	}
	return best
}

// filled is how safe a format is once values have been put into it.
func filled(format safety) safety { return min(format, safeText) }

// isJSONGap reports whether s is nothing but blanks and at most one comma.
func isJSONGap(s string) bool {
	return strings.Trim(s, " \t\r\n,") == "" && strings.Count(s, ",") <= 1
}

// insideJSON reports whether s can stand inside a JSON string as it is.
func insideJSON(s string) bool {
	return strings.IndexByte(s, '"') < 0 && strings.IndexByte(s, '\\') < 0 && strings.IndexFunc(s, func(r rune) bool { return r < ' ' }) < 0 ||
		json.Valid([]byte(`"`+s+`"`))
}

// isJSONScalar reports whether s is a number, true, false or null.
func isJSONScalar(s string) bool {
	const longest = 64
	return s != "" && len(s) <= longest && strings.IndexByte(`"[{ `+"\t\r\n", s[0]) < 0 && json.Valid([]byte(s))
}

// autoSafety is how safe the text is that a filter has escaped where escaping is on.
func (st *state) autoSafety() safety {
	if st.autoescape {
		return safeText
	}
	return notSafe
}

// jsonMarkup is text that is JSON. In Markdown it would be read as Markdown: there it stays text.
func (st *state) jsonMarkup(s string) any {
	switch {
	case st.json:
		return markup{s, safeDump}
	case st.format == escaping.Markdown:
		return s
	}
	return markup{s, safeText}
}

// jsonEscape is what strings inside of JSON are escaped with, nil for nothing.
func (st *state) jsonEscape() func([]byte, string) []byte {
	if st.format == escaping.Mrkdwn && st.autoescape {
		return escaping.AppendMrkdwn
	}
	return nil
}
