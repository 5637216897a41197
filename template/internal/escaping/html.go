package escaping

import (
	"strings"
	"unicode/utf8"
)

// HTMLPlace follows the HTML that has been written so far, to know when a value stands in a tag,
// where escaping & < > " ' is not enough: without quotes around it a value with a blank adds
// attributes, and a link may run a script.
type HTMLPlace struct {
	seen  int // how much of the output
	state htmlState
	quote byte   // of an attribute's value in quotes
	name  []byte // of the attribute, in lower case
	value []byte // of the attribute, its beginning, up to what ends the scheme of an address
	mixed bool   // a value has begun the scheme, and the template may end it
	ended bool   // by a blank, behind which = may still follow
}

type htmlState uint8

const (
	htmlText  htmlState = iota
	htmlOpen            // after <
	htmlTag             // in a tag, outside of values
	htmlEqual           // after the = of an attribute
	htmlBare            // in a value without quotes
	htmlValue           // in a value in quotes
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
		p.state = htmlText
		if alphanumeric(c) || c == '/' {
			p.state, p.ended = htmlTag, true
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
	p.follow(b)
	if p.state >= htmlEqual && !p.allows(s) {
		s = "#"
	}
	if p.state < htmlTag || p.state == htmlValue || p.state == htmlTag && escaped {
		if escaped {
			return append(b, s...)
		}
		return AppendHTML(b, s)
	}
	if !escaped {
		s = string(AppendHTML(nil, s))
	}
	if s == "" && p.state == htmlEqual {
		return append(b, `""`...)
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case htmlBlank(c) || strings.IndexByte("\"'`=<>", c) >= 0:
			b = append(append(append(b, "&#"...), appendDecimal(c)...), ';')
		default:
			b = append(b, c)
		}
	}
	return b
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

// appendDecimal spells out a character below 100.
func appendDecimal(c byte) []byte {
	if c < 10 {
		return []byte{'0' + c}
	}
	return []byte{'0' + c/10, '0' + c%10}
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

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
