package eval

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// What a template of JSON writes. Its text is JSON as it stands; a value is written so that it
// stays a value:
//
//   - Inside a JSON string it is escaped for the template's format, and then for JSON.
//   - Outside of strings, text becomes a JSON string, and any other value its JSON. What cannot
//     break anything stands as it is: commas and blanks, as from {{ "," if not loop.last }},
//     numbers, true, false and null, and what the template itself spells out. An undefined value is
//     nothing, or null after a colon.
//   - |tojson and blocks of the template (macros, set, call, filter) that make JSON are JSON. Other
//     blocks are text.
//
// jsonPlace follows the JSON that has been written so far.
type jsonPlace struct {
	seen     int // how much of the output
	inString bool
	escaped  bool   // after a backslash in a string
	last     byte   // the last byte outside of strings, blanks aside; '"' for a string
	begin    int    // of the last string
	text     string // the last string outside of which we are
	near     nearKey
	above    []nearKey // of the objects and lists that are open
}

// nearKey is what matters of the nearest key above a value.
type nearKey struct {
	own     bool // it stands in this JSON, not above it
	literal bool // Slack takes what stands under it literally, see escaping.MrkdwnText
}

// around is the nearest key above the innermost open object or list.
func (p *jsonPlace) around() nearKey {
	if n := len(p.above); n > 0 {
		return p.above[n-1]
	}
	return nearKey{}
}

// follow goes on to the end of b.
func (p *jsonPlace) follow(b []byte) {
	for ; p.seen < len(b); p.seen++ {
		c := b[p.seen]
		switch {
		case p.escaped:
			p.escaped = false
		case p.inString && c == '\\':
			p.escaped = true
		case c == '"':
			if p.inString {
				p.text, p.last = string(b[p.begin:p.seen]), c
			} else {
				p.begin = p.seen + 1
				if p.last != ':' {
					p.near = p.around()
				}
			}
			p.inString = !p.inString
		case !p.inString && c == ':':
			p.near, p.last = nearKey{own: true, literal: !escaping.MrkdwnText(p.text)}, c
		case !p.inString && !python.BlankByte(c):
			p.last = c
			switch c {
			case '{', '[':
				p.above = append(p.above, p.near)
			case '}', ']':
				p.above = p.above[:max(0, len(p.above)-1)]
				p.near = p.around()
			case ',':
				p.near = p.around()
			}
		}
	}
}

// jsonOutput is the part of an output that only templates of JSON have.
type jsonOutput struct {
	place jsonPlace
	// Of a block:
	text   []byte // the same as it reads where it is no JSON
	quoted bool   // the template has put quotes into it
	mixed  bool   // text of the data stands outside of quotes
}

// literal takes text of the template.
func (j *jsonOutput) literal(o *output, s string) {
	if !o.top && o.st.Alloc(len(s)) == nil && o.st.Spend(stepsPerEscape*strings.Count(s, `\`)) == nil {
		j.quoted = j.quoted || strings.IndexByte(s, '"') >= 0
		j.text = appendDecoded(j.text, s)
	}
}

// stepsPerEscape is what it costs to decode an escape of JSON.
const stepsPerEscape = 8

// printJSON writes a value into JSON. Own says that the template itself spells the value out.
func (o *output) printJSON(v any, own bool) error {
	st, j := o.st, o.json
	s, safe, err := st.Text(v)
	if err != nil {
		return err
	}
	text := s
	j.place.follow(o.b)
	if m, ok := v.(python.Markup); ok && m.JSON != "" && !j.place.inString {
		s, safe = m.JSON, python.SafeJSON
		v = python.Markup{Text: s, Safety: safe}
	}
	if !j.place.inString {
		j.quoted = j.quoted || safe.IsJSON() && strings.IndexByte(s, '"') >= 0
		j.mixed = j.mixed || !safe.IsJSON() && !own && !python.IsJSONScalar(s) && !python.IsJSONGap(s)
	}
	if o.b, err = st.appendJSONPlace(o.b, v, s, safe, &j.place, own); err != nil {
		return err
	}
	if !o.top {
		switch {
		case safe == python.NotSafe:
			j.text, err = st.Convert(j.text, text, st.Escaper)
		case safe.HasLiterals() && st.Format == escaping.Mrkdwn:
			j.text, err = st.Convert(j.text, text, escaping.AppendNoControls)
		default:
			j.text, err = st.AppendCopy(j.text, text)
		}
	}
	if len(o.b) > st.Limits.Output {
		o.full()
	}
	return err
}

func (st *rendering) appendJSONPlace(
	b []byte, v any, s string, safe python.Safety, place *jsonPlace, own bool,
) ([]byte, error) {
	if err := st.Read(s); err != nil {
		return b, err
	}
	style := python.ObjectJSON()
	if place.inString {
		escape := escaping.AppendAsIs
		switch {
		case (safe >= python.SafeJSON || safe == python.SafePiece) && python.InsideJSON(s):
			return st.AppendCopy(b, s)
		case safe == python.NotSafe && (st.Format != escaping.Mrkdwn || !place.near.literal):
			escape = st.Escaper
		case safe.HasLiterals() && st.Format == escaping.Mrkdwn && !place.near.literal:
			escape = escaping.AppendNoControls
		}
		return st.Convert(b, s, func(b []byte, s string) []byte {
			return python.AppendJSONInside(b, string(escape(nil, s)), &style)
		})
	}
	afterColon := place.last == ':'
	switch v := v.(type) {
	case python.Markup:
		if !v.Safety.IsJSON() {
			if safe.HasLiterals() && st.Format == escaping.Mrkdwn && !place.near.literal {
				s = string(escaping.AppendNoControls(nil, s))
			}
			return st.AppendJSONString(b, s, &style)
		}
		if st.Format != escaping.Mrkdwn || safe < python.SafeJSON || safe == python.SafeJSON &&
			!place.near.literal {
			return st.AppendCopy(b, s)
		}
		if err := st.AllocTimes(4, int64(len(s))); err != nil {
			return b, err
		}
		return appendLiterals(b, s, safe, place.near, &style), nil
	case string:
		if python.IsJSONScalar(s) || own || !afterColon && python.IsJSONGap(s) {
			return st.AppendCopy(b, s)
		}
	case *python.Undefined:
		if !afterColon {
			return b, nil
		}
	}
	style.Lenient = true
	style.Slack = st.SlackEscape()
	if style.Slack == nil || !place.near.literal {
		style.Escape = st.JSONEscape()
	}
	return st.AppendJSON(b, v, &style, 0)
}

// appendLiterals appends JSON whose strings are escaped as mrkdwn, and undoes that for those which
// Slack takes literally. In a block, those with a key of their own are not escaped to begin with.
func appendLiterals(
	b []byte, s string, safe python.Safety, near nearKey, style *python.JSONStyle,
) []byte {
	near.own = false
	raw := []byte(s)
	place := jsonPlace{near: near, above: []nearKey{near}}
	copied, begin := 0, 0
	for i, c := range raw {
		was := place.inString
		place.follow(raw[:i+1])
		switch {
		case c != '"':
		case !was:
			begin = i
		case !place.inString && place.near.literal && (safe == python.SafeDump || !place.near.own):
			b = appendUnescaped(append(b, raw[copied:begin]...), s[begin:i+1], style)
			copied = i + 1
		}
	}
	return append(b, raw[copied:]...)
}

// appendUnescaped appends a JSON string that is escaped as mrkdwn without that.
func appendUnescaped(b []byte, s string, style *python.JSONStyle) []byte {
	var text string
	if json.Unmarshal([]byte(s), &text) != nil {
		return append(b, s...)
	}
	text = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">").Replace(text)
	return python.AppendJSONString(b, text, style)
}

// captured is the value of what a block has written: JSON if it reads as such, or else text.
func (o *output) captured() any {
	if o.json != nil { // it is read twice
		if o.st.AllocTimes(2, int64(len(o.b))) != nil ||
			o.st.Scan(2*python.PerCharacter*len(o.b)) != nil {
			return nil
		}
	}
	switch {
	case !o.st.Autoescape:
		return string(o.b)
	case o.json == nil:
		return python.Markup{Text: string(o.b), Safety: python.SafeText}
	case o.json.quoted && isJSONPiece(o.b):
		return python.Markup{Text: string(o.b), Safety: python.SafeJSON}
	case o.json.quoted && !o.json.mixed: // it may open or close JSON, or be text with quotes
		return python.Markup{Text: string(o.json.text), Safety: python.SafeText, JSON: string(o.b)}
	case !o.json.mixed:
		return python.Markup{Text: string(o.json.text), Safety: python.SafeAnywhere}
	}
	return python.Markup{Text: string(o.json.text), Safety: python.SafeText}
}

// isJSONPiece reports whether b is values with commas between them, or members of an object.
func isJSONPiece(b []byte) bool {
	b = bytes.Trim(b, " \t\r\n,")
	wrapped := func(begin, end byte) []byte {
		return append(append(append(make([]byte, 0, len(b)+2), begin), b...), end)
	}
	return json.Valid(wrapped('[', ']')) || json.Valid(wrapped('{', '}'))
}

// appendDecoded appends text of the template, which is JSON as it stands, as the text that it is
// inside a JSON string.
func appendDecoded(b []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 || i+1 == len(s) {
			return append(b, s...)
		}
		n := 2
		if s[i+1] == 'u' {
			n = 6
			if len(s) >= i+12 && s[i+6] == '\\' && s[i+7] == 'u' {
				n = 12 // maybe a pair of surrogates
			}
		}
		var decoded string
		for ; n > 0; n -= 6 {
			if i+n <= len(s) && json.Unmarshal([]byte(`"`+s[i:i+n]+`"`), &decoded) == nil {
				break
			}
		}
		if n <= 0 { // no escape of JSON
			b, s = append(b, s[:i+1]...), s[i+1:]
			continue
		}
		b = append(append(b, s[:i]...), decoded...)
		s = s[i+n:]
	}
}
