package escaping

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// appendMarkdown puts a backslash before all that can mean something in Markdown: CommonMark takes
// a backslash before any ASCII punctuation as that character (section 2.4). Line ends become
// blanks, because what begins a line can begin a block, and so can what follows four blanks.
func appendMarkdown(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ' || c >= '\t' && c <= '\r':
			if i == 0 || i == len(s)-1 {
				b = append(b, "&#32;"...) // shown, but no indentation
			} else {
				b = append(b, ' ')
			}
		case strings.IndexByte("!\"#&'()*+-.:<=>@[\\]^_`{|}~", c) >= 0:
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return b
}

// MarkdownPlace follows the Markdown that has been written so far, to know when a value stands in
// code, where a backslash is shown. A value in code is not escaped, so code is recognised only
// where every reader of CommonMark must see it: in a span that begins and ends on one line, and in
// a block whose fence begins its line. Wherever something before could change that, values are
// escaped: a backslash too many is harmless, a link is not.
type MarkdownPlace struct {
	// Part says that the output is put into another one later. Nothing is code then, because what
	// will stand around it is unknown.
	Part bool

	seen      int    // how much of the output
	lineBegin int    // of the line that goes on
	first     byte   // of the line that goes on, blanks left out; 0 for none
	backslash bool   // the output so far ends with one that escapes what follows
	fence     string // what began the block of code that we are in
	run       int    // how many backticks began the code on this line that we are in; 0 for none
	values    []markdownValue
	link      bool // in the brackets of a link, (address "title")
	word      bool // in a word, which as an address may be a link that backticks do not end
	unsure    bool // until the paragraph ends: backticks may pair in another way than it seems
	fenceless bool // until the output ends: a fence may end a block that we know nothing of
	lost      bool // until the output ends: in raw HTML, or where lines end is unclear
}

// A markdownValue is a value in code that has not ended, and so is escaped in the output.
type markdownValue struct {
	begin, end int // in the output
	text       string
}

// Finish returns the output with the last values as they have to be, once everything is written.
func (p *MarkdownPlace) Finish(b []byte) []byte { return p.follow(b) }

// AppendValue appends a text so that it shows as it is where the output stands.
func (p *MarkdownPlace) AppendValue(b []byte, s string) []byte {
	if s == "" {
		return b // what is written next may belong to the backticks before it
	}
	b = p.follow(b)
	if p.fence != "" {
		if p.first != p.fence[0] {
			return p.appendLines(b, s, p.first == 0)
		}
		p.fence, p.fenceless, p.unsure = "", true, true // the line may become the end of the block
	}
	begin := len(b)
	if p.backslash { // it would escape ours
		b = append(b, '\\')
	}
	b, rest := BehindBracket(b, s)
	b = appendMarkdown(b, rest)
	switch {
	case p.run == 0:
	case strings.Contains(s, "|"): // it could end the cell of a table, and the code with it
		p.doubt()
	default:
		p.values = append(p.values, markdownValue{begin, len(b), s})
		p.seen, p.backslash = len(b), false // the line has begun already, with the backticks
	}
	return b
}

// BehindBracket appends the first character of a text spelled out if it follows a < that would begin
// a tag with it, and returns what is left of the text.
func BehindBracket(b []byte, s string) ([]byte, string) {
	if s == "" || len(b) == 0 || b[len(b)-1] != '<' || !beginsTag(s[0]) {
		return b, s
	}
	return appendEntity(b, s[0]), s[1:]
}

// appendLines appends lines to a block of code. Four blanks before a fence keep it from ending the
// block, and what the next value could make a fence.
func (p *MarkdownPlace) appendLines(b []byte, s string, begins bool) []byte {
	const least = 3 // characters of a fence
	mark := p.fence[:1]
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	for line := range strings.Lines(s) {
		text := trimBlanks(line)
		after := strings.TrimLeft(text, mark)
		if n := len(text) - len(after); begins && (n >= least || n > 0 && trimBlanks(after) == "") {
			b = append(append(b, "    "...), line[len(line)-len(text):]...)
		} else {
			b = append(b, line...)
		}
		begins = true
	}
	return b
}

// trimBlanks removes everything from the beginning of a text that any reader takes for a blank.
func trimBlanks(s string) string { return strings.TrimLeftFunc(s, unicode.IsSpace) }

// doubt stops the search for code until the paragraph ends. The values of this line stay escaped.
func (p *MarkdownPlace) doubt() {
	p.unsure, p.run, p.values = true, 0, nil
}

// follow goes on to the end of b, and returns it without the escapes of values in code that has
// ended.
func (p *MarkdownPlace) follow(b []byte) []byte {
	for ; p.seen < len(b); p.seen++ {
		c, escaped := b[p.seen], p.backslash
		p.backslash = c == '\\' && !escaped
		if p.first == 0 && !unicode.IsSpace(rune(c)) {
			p.first = c
		}
		switch {
		case c == '\n':
			p.endLine(string(b[p.lineBegin:p.seen]))
			p.lineBegin, p.first = p.seen+1, 0
		case c == '\r' && !bytes.HasPrefix(b[p.seen+1:], []byte("\n")):
			p.lost, p.fence = true, ""
			p.doubt()
		case p.fence != "" || p.unsure || p.lost || p.Part:
		case c == '`' && (p.run > 0 || !escaped):
			b = p.backticks(b)
		case p.run > 0:
			if c == '|' { // it may end the cell of a table, and the code with it
				p.doubt()
			}
		case !escaped:
			p.text(b)
		}
	}
	return b
}

// backticks notices where code begins and ends on a line.
func (p *MarkdownPlace) backticks(b []byte) []byte {
	n := 1
	for p.seen+n < len(b) && b[p.seen+n] == '`' {
		n++
	}
	p.seen += n - 1
	switch {
	case p.link || p.word:
		p.doubt()
	case p.run == 0:
		p.run = n
	case p.run == n:
		length := len(b)
		b = showCode(b, p.values)
		p.seen -= length - len(b)
		p.run, p.values = 0, p.values[:0]
	}
	return b
}

// showCode replaces the escaped values, which are never shorter, by what shows them in code.
func showCode(b []byte, values []markdownValue) []byte {
	if len(values) == 0 {
		return b
	}
	read, written := values[0].begin, values[0].begin
	for _, v := range values {
		written += copy(b[written:], b[read:v.begin])
		for i := range len(v.text) {
			c := v.text[i]
			switch c {
			case '`': // nothing can stand for it in code
				c = '\''
			case '\n', '\r':
				c = ' '
			}
			b[written] = c
			written++
		}
		read = v.end
	}
	return slices.Delete(b, written, read)
}

// text notices what else than code backticks can be a part of: raw HTML, and addresses of links.
func (p *MarkdownPlace) text(b []byte) {
	next := b[p.seen+1:]
	switch c := b[p.seen]; c {
	case ' ', '\t':
		p.word = false
	case '<':
		switch {
		case hasAnyPrefix(next, "http:", "https:", "mailto:"):
			p.doubt()
		case len(next) == 0 || strings.IndexByte("/!?", next[0]) >= 0 ||
			unicode.IsLetter(rune(next[0])):
			p.lost = true // HTML may go on after the paragraph
			p.doubt()
		case p.link:
			p.doubt()
		}
	case '(':
		switch {
		case p.link:
			p.doubt()
		case p.seen > 0 && b[p.seen-1] == ']':
			p.link = true
		}
	case '"', '\'':
		if p.link { // a title, which may hold the bracket that seems to end the link
			p.doubt()
		}
	case ')':
		p.link = false
	default:
		p.word = p.word || c >= utf8.RuneSelf || unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c))
	}
}

// hasAnyPrefix reports whether b begins with one of the texts, which are in lower case.
func hasAnyPrefix(b []byte, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if len(b) >= len(prefix) && strings.EqualFold(string(b[:len(prefix)]), prefix) {
			return true
		}
	}
	return false
}

// endLine notices where blocks of code begin and end, and paragraphs.
func (p *MarkdownPlace) endLine(line string) {
	const (
		least   = 3 // characters of a fence
		deepest = 3 // blanks before the fence that ends a block
	)
	text := trimBlanks(line)
	indent := line[:len(line)-len(text)]
	if p.fence != "" {
		if strings.HasPrefix(text, p.fence) {
			ends := len(indent) <= deepest && strings.Trim(indent, " ") == "" &&
				strings.Trim(strings.TrimRight(text, " \t\r"), p.fence[:1]) == ""
			p.fence, p.fenceless = "", p.fenceless || !ends
		}
		return
	}
	after := text
	if text != "" && (text[0] == '`' || text[0] == '~') {
		after = strings.TrimLeft(text, text[:1])
	}
	fence := text[:len(text)-len(after)]
	switch {
	case len(fence) >= least && (fence[0] == '~' || !strings.Contains(after, "`")):
		if indent == "" && !p.unsure && !p.fenceless && !p.lost && !p.Part {
			p.fence, p.run = fence, 0
		} else {
			p.fenceless = true
		}
	case strings.Trim(line, " \t\r") == "":
		p.unsure = false
	}
	if p.run > 0 || p.link { // the paragraph may go on with it
		p.doubt()
	}
	p.values, p.link, p.word = p.values[:0], false, false
}
