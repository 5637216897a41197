package escaping

import "strings"

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
// code, where a backslash is a backslash.
type MarkdownPlace struct {
	seen      int    // how much of the output
	lineBegin int    // of the line that goes on
	fence     string // what the block of code has begun with that we are in
	inline    int    // how many backticks have begun the code in text that we are in; 0 for none
}

// follow goes on to the end of b.
func (p *MarkdownPlace) follow(b []byte) {
	for p.seen < len(b) {
		switch c := b[p.seen]; {
		case c == '\n':
			p.endLine(strings.TrimRight(string(b[p.lineBegin:p.seen]), " \t\r"))
			p.lineBegin = p.seen + 1
		case c == '\\' && p.inline == 0 && p.fence == "":
			p.seen++ // and what it escapes
		case c == '`' && p.fence == "":
			n := 1
			for p.seen+n < len(b) && b[p.seen+n] == '`' {
				n++
			}
			switch p.inline {
			case 0:
				p.inline = n
			case n:
				p.inline = 0
			}
			p.seen += n - 1
		}
		p.seen++
	}
}

// endLine notices where blocks of code begin and end, and paragraphs.
func (p *MarkdownPlace) endLine(line string) {
	const deepest = 3 // with more blanks before it, it is no fence
	text := strings.TrimLeft(line, " ")
	fence := text[:len(text)-len(strings.TrimLeft(text, fenceByte(text)))]
	switch isFence := len(fence) >= 3 && len(line)-len(text) <= deepest; {
	case p.fence != "":
		if isFence && fence == text && strings.HasPrefix(fence, p.fence) {
			p.fence = ""
		}
	case isFence && (fence[0] == '~' || !strings.Contains(text[len(fence):], "`")):
		p.fence, p.inline = fence, 0
	case text == "":
		p.inline = 0
	}
}

// fenceByte is the character of the fence that text may begin with.
func fenceByte(text string) string {
	if strings.HasPrefix(text, "~") {
		return "~"
	}
	return "`"
}

// AppendValue appends a text so that it shows as it is where the output stands.
func (p *MarkdownPlace) AppendValue(b []byte, s string) []byte {
	p.follow(b)
	switch {
	case p.fence != "": // lines may begin with a fence, unless four blanks stand before it
		const deepest = 3 // blanks before a fence
		begins := len(b)-p.lineBegin <= deepest && strings.TrimLeft(string(b[p.lineBegin:]), " ") == ""
		if begins {
			s = "\n" + s
		}
		s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
		for _, indent := range []string{"", " ", "  ", "   "} {
			for _, fence := range []string{"```", "~~~"} {
				s = strings.ReplaceAll(s, "\n"+indent+fence, "\n    "+fence)
			}
		}
		if begins {
			s = s[1:]
		}
		return append(b, s...)
	case p.inline > 0: // code ends at a backtick, and nothing can stand for one in it
		return append(b, strings.NewReplacer("`", "'", "\n", " ", "\r", " ").Replace(s)...)
	}
	if p.seen > len(b) && s != "" { // a backslash of the template would escape ours
		b = append(b, '\\')
	}
	return appendMarkdown(b, s)
}
