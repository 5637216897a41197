package escaping

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// HTMLPlace follows the HTML that has been written so far, to know when a value stands in a tag,
// where escaping & < > " ' is not enough: without quotes around it a value with a blank adds
// attributes, and a link may run a script. Behind a < a letter of it would begin a tag.
type HTMLPlace struct {
	// Part says that the output is put into another one later, which may be inside of a tag.
	Part bool

	inTag *HTMLPlace // where a part would be inside of a tag
	seen  int        // how much of the output
	state htmlState
	quote byte   // of an attribute's value in quotes
	name  []byte // of the attribute, in lower case
	value []byte // of the attribute, its beginning, up to what ends the scheme of an address
	mixed bool   // a value has begun the scheme, and the template may end it
	ended bool   // by a blank, behind which = may still follow
	dash  int    // how many - there are at the end of a comment
}

type htmlState uint8

const (
	htmlText    htmlState = iota
	htmlOpen              // after <
	htmlBang              // after <! or <!-
	htmlComment           // after <!--
	htmlTag               // in a tag, outside of values
	htmlEqual             // after the = of an attribute
	htmlBare              // in a value without quotes
	htmlValue             // in a value in quotes
)

const (
	longestAttribute = 16 // as much of an attribute's name as is looked at
	longestScheme    = 64 // as much of a value's beginning as may belong to a scheme
)

// follow goes on to the end of b.
func (p *HTMLPlace) follow(b []byte) {
	for ; p.seen < len(b); p.seen++ {
		p.byte(b[p.seen])
	}
}

func (p *HTMLPlace) byte(c byte) {
	switch p.state {
	case htmlText:
		if c == '<' {
			p.state = htmlOpen
		}
	case htmlOpen:
		switch {
		case letter(c) || c == '/':
			p.state, p.name, p.ended = htmlTag, p.name[:0], true
		case c == '!':
			p.state, p.dash = htmlBang, 0
		case c != '<':
			p.state = htmlText
		}
	case htmlBang:
		if c != '-' {
			p.state = htmlText
		} else if p.dash++; p.dash == 2 {
			p.state = htmlComment
		}
	case htmlComment:
		switch {
		case c == '>' && p.dash >= 2:
			p.state = htmlText
		case c == '-':
			p.dash++
		case c != '!' || p.dash < 2: // --!> ends it too
			p.dash = 0
		}
	case htmlTag:
		p.tag(c)
	case htmlEqual:
		switch {
		case c == '"' || c == '\'':
			p.state, p.quote = htmlValue, c
		case c == '>':
			p.state = htmlText
		case !htmlBlank(c):
			p.state = htmlBare
			p.begins(c)
		}
	case htmlBare:
		if htmlBlank(c) {
			p.state, p.ended = htmlTag, true
		} else if c == '>' {
			p.state = htmlText
		}
		p.begins(c)
	case htmlValue:
		if c == p.quote {
			p.state, p.ended = htmlTag, true
		}
		p.begins(c)
	}
}

// begins keeps what an attribute's value begins with.
func (p *HTMLPlace) begins(c byte) {
	if len(p.value) < longestScheme && !p.pastScheme() && c > ' ' {
		p.value = append(p.value, c)
	}
}

// pastScheme reports whether what may be the scheme of an address is complete.
func (p *HTMLPlace) pastScheme() bool {
	return len(p.value) > 0 && strings.IndexByte(":/?#", p.value[len(p.value)-1]) >= 0
}

// tag takes a character of a tag outside of values.
func (p *HTMLPlace) tag(c byte) {
	switch {
	case c == '>':
		p.state = htmlText
	case c == '=':
		p.state, p.value, p.mixed = htmlEqual, p.value[:0], false
	case htmlBlank(c) || c == '/':
		p.ended = true
	case p.ended:
		p.name, p.ended = p.name[:0], false
		p.tag(c)
	case len(p.name) < longestAttribute:
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		p.name = append(p.name, c)
	}
}

func htmlBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// AppendValue appends a text where the output stands; escaped says that it is escaped already.
func (p *HTMLPlace) AppendValue(b []byte, s string, escaped bool) []byte {
	b, s, write := p.Value(b, s, escaped)
	return write(b, s)
}

// Value prepares to append a text where the output stands: rest is still to be appended with write,
// which may be done in pieces. Escaped says that the text is escaped already.
func (p *HTMLPlace) Value(
	b []byte, s string, escaped bool,
) (begun []byte, rest string, write func(b []byte, s string) []byte) {
	p.follow(b)
	at := p
	if p.Part {
		if p.inTag == nil {
			p.inTag = &HTMLPlace{state: htmlTag, ended: true}
		}
		if p.inTag.follow(b); p.state < htmlTag && p.inTag.state == htmlValue {
			at = p.inTag
		}
	}
	if at.state >= htmlEqual && !at.allows(s) {
		s = "#"
	}
	switch {
	case at.state == htmlOpen && s != "" && beginsTag(s[0]):
		b, s = appendEntity(b, s[0]), s[1:] // else the < would begin a tag
	case at.state == htmlTag && escaped:
		return b, at.attributes(s), AppendAsIs
	case at.state == htmlValue && escaped:
		return b, s, quoteEntity(at.quote)
	case at.state == htmlEqual && s == "":
		return append(b, `""`...), s, AppendAsIs
	case at.state == htmlTag:
		return b, s, func(b []byte, s string) []byte { return appendBare(b, string(AppendHTML(nil, s)), "/") }
	case at.state >= htmlTag && at.state != htmlValue:
		if escaped {
			return b, s, func(b []byte, s string) []byte { return appendBare(b, s, "") }
		}
		return b, s, func(b []byte, s string) []byte { return appendBare(b, string(AppendHTML(nil, s)), "") }
	}
	if escaped {
		return b, s, AppendAsIs
	}
	return b, s, AppendHTML
}

// attributes is a text that brings attributes along. Those of a value have no quotes: without = they
// are names.
func (p *HTMLPlace) attributes(s string) string {
	at := HTMLPlace{state: htmlTag, ended: p.ended}
	var b []byte
	for i := range len(s) {
		if at.state == htmlTag && s[i] == '/' {
			b = appendEntity(b, '/')
			continue
		}
		if at.state == htmlTag && s[i] == '=' {
			value := strings.TrimLeft(s[i+1:], " \t\n\v\f\r")
			if value != "" && value[0] != '"' && value[0] != '\'' {
				b = appendEntity(b, '=')
				continue
			}
		}
		at.byte(s[i])
		b = append(b, s[i])
	}
	return string(b)
}

// quoteEntity appends a text that is escaped already, but for the quotes around it.
func quoteEntity(quote byte) func(b []byte, s string) []byte {
	return func(b []byte, s string) []byte {
		for i := range len(s) {
			if s[i] == quote {
				b = appendEntity(b, quote)
			} else {
				b = append(b, s[i])
			}
		}
		return b
	}
}

// appendBare appends a text that is escaped already where there are no quotes around it, and others of
// its characters would end it.
func appendBare(b []byte, s, others string) []byte {
	for i := range len(s) {
		if c := s[i]; htmlBlank(c) || strings.IndexByte("\"'`=<>", c) >= 0 ||
			strings.IndexByte(others, c) >= 0 {
			b = appendEntity(b, c)
		} else {
			b = append(b, c)
		}
	}
	return b
}

// appendEntity spells out a character of ASCII.
func appendEntity(b []byte, c byte) []byte {
	return append(strconv.AppendInt(append(b, "&#"...), int64(c), 10), ';')
}

// AttributePlace is the place behind the " that begins the value of an attribute of that name, in an
// output of that length.
func AttributePlace(name string, length int) *HTMLPlace {
	name = strings.ToLower(name[:min(len(name), longestAttribute)])
	return &HTMLPlace{state: htmlValue, quote: '"', seen: length, name: []byte(name)}
}

// allows reports whether s may stand in the attribute.
func (p *HTMLPlace) allows(s string) bool {
	switch name := string(p.name); {
	case name == "srcdoc" || strings.HasPrefix(name, "on"): // HTML or a script of their own
		return s == ""
	case name == "style":
		return !strings.ContainsFunc(s, func(r rune) bool {
			return r < utf8.RuneSelf && !alphanumeric(byte(r)) && !strings.ContainsRune(" #%,.-+_", r)
		})
	case name == "srcset" || name == "imagesrcset": // several addresses
		for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r <= ' ' }) {
			if !safeLink("src", part) {
				return false
			}
		}
		return true
	case p.pastScheme() || len(p.value) >= longestScheme:
		return !p.mixed || safeLink(name, string(p.value))
	default:
		begin := string(p.value) + s
		p.mixed = begin != "" && !strings.ContainsAny(begin, ":/?#")
		return safeLink(name, begin)
	}
}

// safeLink reports whether s may be the value of an attribute of that name, or the beginning of it:
// addresses that a mail may link to, or relative ones.
func safeLink(attribute, s string) bool {
	switch attribute {
	case "href", "src", "action", "formaction", "xlink:href", "background", "poster", "cite", "data",
		"ping":
	default:
		return true
	}
	end := strings.IndexAny(s, ":/?#&")
	if end < 0 || s[end] != ':' && s[end] != '&' {
		return true
	}
	scheme := strings.Map(func(r rune) rune { // a browser looks past blanks and control characters
		if r <= ' ' {
			return -1
		}
		return r
	}, strings.ToLower(s[:end]))
	switch scheme {
	case "http", "https", "mailto", "tel", "sms", "cid", "ftp":
		return true
	case "data":
		return attribute == "src" && strings.HasPrefix(strings.ToLower(s[end:]), ":image/")
	}
	return s[end] == '&' && !strings.Contains(s, ":") && !strings.Contains(s, "&#") &&
		!strings.Contains(s, "&colon")
}

// beginsTag reports whether a < before c begins a tag, or anything else that is no text.
func beginsTag(c byte) bool { return letter(c) || c == '/' || c == '!' || c == '?' }

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func alphanumeric(c byte) bool { return letter(c) || c >= '0' && c <= '9' }
