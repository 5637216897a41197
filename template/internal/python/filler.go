package python

import (
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
)

// A Filler puts values into markup: escaped for the template's format, and in HTML for what they
// stand in, such as the address of a link.
type Filler struct {
	st    *State
	place *escaping.HTMLPlace // nil in other formats
}

// NewFiller returns what puts values into one markup, from its beginning to its end.
func (st *State) NewFiller() Filler {
	f := Filler{st: st}
	if st.Format == escaping.HTML && st.Autoescape {
		f.place = &escaping.HTMLPlace{Part: true}
	}
	return f
}

// Append appends str(v) to b, which holds all of the markup so far.
func (f *Filler) Append(b []byte, v any) ([]byte, error) {
	m, ok := v.(Markup)
	if f.place == nil || ok && m.Safety >= SafeAnywhere {
		return f.st.AppendEscaped(b, v)
	}
	s, safe, err := f.st.Text(v)
	if err != nil {
		return b, err
	}
	return f.AppendText(b, s, safe)
}

// Fill is Append for a format, of which no part is JSON any more.
func (f *Filler) Fill(b []byte, v any) ([]byte, error) {
	if m, ok := v.(Markup); ok && m.Safety.HasLiterals() && f.st.Format == escaping.Mrkdwn {
		return f.st.Convert(b, m.Text, escaping.AppendNoControls)
	}
	return f.Append(b, v)
}

// escaped is str(v) as a format takes it that is markup.
func (st *State) escaped(v any) ([]byte, error) {
	f := Filler{st: st}
	return f.Fill(nil, v)
}

// AppendText is Append for a text that is as safe as told.
func (f *Filler) AppendText(b []byte, s string, safe Safety) ([]byte, error) {
	switch {
	case f.place == nil && safe == NotSafe:
		return f.st.Convert(b, s, f.st.Escaper)
	case f.place == nil || safe >= SafeAnywhere:
		return f.st.AppendCopy(b, s)
	}
	return f.st.AppendInHTML(f.place, b, s, safe)
}

// AppendInHTML appends a text where it stands in HTML, piece by piece.
func (st *State) AppendInHTML(
	place *escaping.HTMLPlace, b []byte, s string, safe Safety,
) ([]byte, error) {
	if err := st.Read(s); err != nil { // to follow the HTML, and to look at addresses
		return b, err
	}
	b, s, write := place.Value(b, s, safe != NotSafe)
	return st.Convert(b, s, write)
}

// markdownPiece is how much of a value in Markdown is worked on between two looks at the budget. At
// the ends of a piece, blanks are spelled out.
const markdownPiece = 64 << 10

// AppendInMarkdown appends a text where it stands in Markdown, piece by piece.
func (st *State) AppendInMarkdown(
	place *escaping.MarkdownPlace, b []byte, s string, safe Safety,
) ([]byte, error) {
	if safe != NotSafe {
		b, s = escaping.BehindBracket(b, s)
		return st.AppendCopy(b, s)
	}
	for s != "" {
		n := min(len(s), markdownPiece)
		for back := 1; n < len(s) && back < utf8.UTFMax && !utf8.RuneStart(s[n]); back++ {
			n--
		}
		if n < len(s) && s[n-1] == '\r' && s[n] == '\n' { // one line break
			n--
		}
		if err := st.AllocTimes(PerCharacter, int64(n)); err != nil {
			return b, err
		}
		before := len(b)
		b = place.AppendValue(WithRoom(b, n), s[:n])
		if err := st.Alloc(max(0, len(b)-before-n)); err != nil {
			return b, err
		}
		s = s[n:]
	}
	return b, nil
}
