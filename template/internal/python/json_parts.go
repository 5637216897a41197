package python

import (
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
)

// jsonPlace is where a byte of JSON stands.
type jsonPlace uint8

const (
	outside jsonPlace = iota // of strings
	inside                   // of a string
	escape                   // inside of a string, behind the backslash of an escape
)

// next is the place behind c.
func (p jsonPlace) next(c byte) jsonPlace {
	switch {
	case p == escape:
		return inside
	case c == '"':
		return outside + inside - p
	case c == '\\' && p == inside:
		return escape
	}
	return p
}

// after is the place behind s.
func (p jsonPlace) after(s string) jsonPlace {
	for i := range len(s) {
		p = p.next(s[i])
	}
	return p
}

// Parts makes markup of the parts of a markup. A part of JSON is JSON only if it begins and ends
// outside of the strings: cut in the middle, a value in a string would be JSON of its own.
type Parts struct {
	s      string
	safe   Safety
	places []jsonPlace // before each byte, and at the end; nil for what is no JSON
}

// Parts returns what makes the parts of s, which is as safe as told.
func (st *State) Parts(s string, safe Safety) (Parts, error) {
	p := Parts{s: s, safe: safe}
	if !st.JSON || !safe.IsJSON() {
		return p, nil
	}
	if err := st.Alloc(len(s) + 1); err != nil {
		return p, err
	}
	if err := st.Read(s); err != nil {
		return p, err
	}
	p.places = make([]jsonPlace, 1, len(s)+1)
	for i := range len(s) {
		p.places = append(p.places, p.places[i].next(s[i]))
	}
	return p, nil
}

// Part is s[low:high].
func (p *Parts) Part(low, high int) any {
	if p.places == nil || p.places[low] == outside && p.places[high] == outside {
		return TextOf(p.s[low:high], p.safe)
	}
	return TextOf(p.s[low:high], cut(p.safe))
}

// cut is how safe a part of JSON is that may begin or end inside of a string.
func cut(safe Safety) Safety {
	if safe == SafeDump {
		return SafePiece
	}
	return Filled(safe)
}

// Replace is s with old replaced n times, where it stands at least as often. New is escaped for the
// format. In JSON it is written so that it stays a value: inside of strings escaped for JSON too,
// and outside of them as a string, if it is no JSON.
func (st *State) Replace(
	s string, safe Safety, oldText, newText string, newSafe Safety, n int,
) (any, error) {
	p, err := st.Parts(s, safe)
	if err != nil {
		return nil, err
	}
	if safe == SafeAnywhere && newSafe.HasLiterals() {
		safe = newSafe // what is not escaped in it is escaped where the result stands in text
	}
	if st.Format == escaping.HTML && safe != NotSafe && newSafe < SafeAnywhere && oldText != "" {
		return st.replaceInHTML(s, safe, oldText, newText, n)
	}
	if !st.JSON && newSafe < SafeAnywhere {
		safe = min(safe, SafeText)
	}
	if p.places == nil || oldText == "" { // which is between any two characters
		if p.places != nil {
			safe = Filled(safe)
		}
		return TextOf(strings.Replace(s, oldText, newText, n), safe), nil
	}
	style := ObjectJSON()
	texts := [...]string{outside: newText, inside: newText}
	if newSafe != SafePiece && newSafe != SafeDump || !InsideJSON(newText) {
		b, err := st.Convert(nil, newText,
			func(b []byte, s string) []byte { return AppendJSONInside(b, s, &style) })
		if err != nil {
			return nil, err
		}
		texts[inside] = string(b)
	}
	switch {
	case newSafe.IsJSON():
		safe = min(safe, newSafe)
	case !IsJSONScalar(newText) && !IsJSONGap(newText):
		texts[outside] = `"` + texts[inside] + `"`
	}
	if err := st.AllocTimes(len(texts[outside]), int64(n)); err != nil {
		return nil, err
	}
	var b []byte
	rest, count := 0, n
	for i := 0; n > 0; n-- {
		i += strings.Index(s[i:], oldText)
		end := i + len(oldText)
		place := p.places[i]
		if place == escape || p.places[end] != place {
			return TextOf(strings.Replace(s, oldText, newText, count), Filled(safe)), nil
		}
		b = append(append(b, s[rest:i]...), texts[place]...)
		rest, i = end, end
	}
	return TextOf(string(append(b, s[rest:]...)), safe), nil
}

// replaceInHTML is Replace in HTML, where it matters what the new text stands in.
func (st *State) replaceInHTML(s string, safe Safety, oldText, newText string, n int) (any, error) {
	filler := st.NewFiller()
	var b []byte
	for ; n > 0; n-- {
		i := strings.Index(s, oldText)
		var err error
		if b, err = filler.AppendText(append(b, s[:i]...), newText, SafeText); err != nil {
			return nil, err
		}
		s = s[i+len(oldText):]
	}
	return TextOf(string(append(b, s...)), min(safe, SafeText)), nil
}
