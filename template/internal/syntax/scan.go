package syntax

import (
	"strings"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// A Segment is a piece of a template's source: plain text, the inside of {{ }}, or the inside of {%
// %}.
type Segment struct {
	Kind segmentKind
	Text string    // text, or the source inside the delimiters without the tag's name
	Name string    // of a tag
	Pos  fault.Pos // of text
	Tag  fault.Pos // of the tag's name
	Uses uint8     // which of the special names stand in it
}

type segmentKind uint8

// The kinds of segments.
const (
	SegmentText segmentKind = iota
	SegmentPrint
	SegmentTag
)

// Special names that change how a macro takes its arguments.
const (
	UsesVarargs = 1 << iota
	UsesKwargs
	UsesCaller
)

func specialName(name string) uint8 {
	switch name {
	case "varargs":
		return UsesVarargs
	case "kwargs":
		return UsesKwargs
	case "caller":
		return UsesCaller
	}
	return 0
}

// A scanner cuts a template into segments and applies white space control, comments and raw blocks.
type scanner struct {
	lexer
	segments []Segment
	trim     bool // the last delimiter asked for the white space after it to go
}

// Scan cuts source into segments. Line ends become \n, and one at the very end is dropped, as
// Jinja2 does.
func Scan(source string) ([]Segment, error) {
	if !utf8.ValidString(source) {
		return nil, fault.Errorf(fault.ErrSyntax, "the source is not UTF-8")
	}
	source = strings.ReplaceAll(source, "\r\n", "\n")
	source = strings.ReplaceAll(source, "\r", "\n")
	source = strings.TrimSuffix(source, "\n")
	s := scanner{lexer: lexer{src: source, pos: fault.Pos{Line: 1, Col: 1}}}
	for s.off < len(s.src) {
		if err := s.one(); err != nil {
			return nil, err
		}
	}
	return s.segments, nil
}

// one scans the text up to the next delimiter, and what the delimiter opens.
func (s *scanner) one() error {
	rest := s.rest()
	n := NextDelimiter(rest)
	text := rest[:n]
	if s.trim {
		text = strings.TrimLeftFunc(text, python.IsSpace)
		s.trim = false
	}
	if n < len(rest) && strings.HasPrefix(rest[n+2:], "-") {
		text = strings.TrimRightFunc(text, python.IsSpace)
	}
	s.addText(text)
	s.advance(n)
	if n == len(rest) {
		return nil
	}
	kind := rest[n+1]
	begin := s.pos
	opening := s.rest()
	s.advance(2)
	if r := s.rest(); r != "" && (r[0] == '-' || r[0] == '+') {
		s.advance(1)
	}
	switch kind {
	case '#':
		return s.comment(begin)
	case '{':
		return s.inside(Segment{Kind: SegmentPrint}, "}}", begin)
	}
	if body, ok := rawTag(s.rest(), "raw"); ok {
		return s.raw(begin, body)
	}
	s.skipSpace()
	at := s.pos
	name := s.rest()[:python.IdentifierLength(s.rest())]
	if name == "" {
		err := at.Errorf(fault.ErrSyntax, "expected the name of a tag")
		err.Near = fault.Near(opening)
		return err
	}
	s.advance(len(name))
	return s.inside(Segment{Kind: SegmentTag, Name: name, Tag: at}, "%}", begin)
}

// NextDelimiter returns where the first {{, {% or {# is, or the length of s.
func NextDelimiter(s string) int {
	for i := 0; ; i++ {
		j := strings.IndexByte(s[i:], '{')
		if j < 0 || i+j+1 >= len(s) {
			return len(s)
		}
		i += j
		switch s[i+1] {
		case '{', '%', '#':
			return i
		}
	}
}

func (s *scanner) addText(text string) {
	if text == "" {
		return
	}
	s.segments = append(s.segments, Segment{Kind: SegmentText, Text: text, Pos: s.pos})
}

func (s *scanner) comment(begin fault.Pos) error {
	rest := s.rest()
	end := strings.Index(rest, "#}")
	if end < 0 {
		return begin.Errorf(fault.ErrSyntax, "the comment is not closed")
	}
	s.trim = end > 0 && rest[end-1] == '-'
	s.advance(end + 2)
	return nil
}

// inside finds the end of a tag or print by its tokens: what looks like an end inside a string or
// brackets is none.
func (s *scanner) inside(seg Segment, end string, begin fault.Pos) error {
	s.brackets = s.brackets[:0]
	seg.Pos = s.pos
	start := s.off
	afterDot := false
	for {
		s.skipSpace()
		rest := s.rest()
		if rest == "" {
			err := begin.Errorf(fault.ErrSyntax, "the tag is not closed, expected %q", end)
			err.Near = fault.Near(s.src[start:])
			return err
		}
		if len(s.brackets) == 0 {
			mark := 0
			if rest[0] == '-' || rest[0] == '+' && end == "%}" {
				mark = 1
			}
			if strings.HasPrefix(rest[mark:], end) {
				seg.Text = s.src[start:s.off]
				s.trim = mark == 1 && rest[0] == '-'
				s.advance(mark + len(end))
				s.segments = append(s.segments, seg)
				return nil
			}
		}
		t, err := s.next()
		if err != nil {
			return err
		}
		if t.Kind == TokenName && !afterDot {
			seg.Uses |= specialName(t.Text)
		}
		afterDot = t.Is(TokenOperator, ".")
	}
}

// rawTag reports whether s, which follows {%, is the rest of a raw or endraw tag, and how long that
// is.
func rawTag(s, name string) (length int, ok bool) {
	rest := strings.TrimLeftFunc(s, python.IsSpace)
	if !strings.HasPrefix(rest, name) {
		return 0, false
	}
	rest = strings.TrimLeftFunc(rest[len(name):], python.IsSpace)
	if !strings.HasPrefix(rest, "%}") && !strings.HasPrefix(rest, "-%}") &&
		!strings.HasPrefix(rest, "+%}") {
		return 0, false
	}
	return len(s) - len(rest), true
}

// raw takes everything up to {% endraw %} as text.
func (s *scanner) raw(begin fault.Pos, length int) error {
	s.advance(length)
	s.closeRaw()
	rest := s.rest()
	if rest == "" { // Jinja2 has nothing left to miss the end in
		return nil
	}
	for i := 0; ; i += 2 {
		j := strings.Index(rest[i:], "{%")
		if j < 0 {
			return begin.Errorf(fault.ErrSyntax, "the raw block is not closed, expected {%% endraw %%}")
		}
		i += j
		after := i + 2
		mark := byte(0)
		if after < len(rest) && (rest[after] == '-' || rest[after] == '+') {
			mark = rest[after]
			after++
		}
		n, ok := rawTag(rest[after:], "endraw")
		if !ok {
			continue
		}
		text := rest[:i]
		if s.trim {
			text = strings.TrimLeftFunc(text, python.IsSpace)
			s.trim = false
		}
		if mark == '-' {
			text = strings.TrimRightFunc(text, python.IsSpace)
		}
		s.addText(text)
		s.advance(after + n)
		s.closeRaw()
		return nil
	}
}

// closeRaw moves over the %} of a raw or endraw tag.
func (s *scanner) closeRaw() {
	n := 2
	if c := s.rest()[0]; c != '%' {
		n = 3
		s.trim = c == '-'
	}
	s.advance(n)
}
