package channelkit

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// reading is a way to understand a text, in which a secret may have been written.
type reading int

const (
	asWritten reading = iota
	asJSON
	asHTML
	asPath  // of a URL
	asQuery // of a URL, or a form
	asHex
	readings
)

// written is a character of a reading.
type written struct {
	bytes   [utf8.UTFMax]byte
	means   int // how many of them it stands for
	written int // how many bytes of the text that takes; 0 if there is none
	// open says that there is none because the text breaks off in the middle of it.
	open bool
}

// differs reports whether a text may mean something else in this reading than in those before it.
func (as reading) differs(text string) bool {
	switch as {
	case asJSON:
		return strings.IndexByte(text, '\\') >= 0
	case asHTML:
		return strings.IndexByte(text, '&') >= 0
	case asPath:
		return strings.IndexByte(text, '%') >= 0
	case asQuery:
		return strings.IndexByte(text, '+') >= 0
	}
	return true
}

// escapes reports whether a byte may mean another one.
func (as reading) escapes(b byte) bool {
	switch b {
	case '\\':
		return as == asJSON
	case '&':
		return as == asHTML
	case '%':
		return as == asPath || as == asQuery
	case '+':
		return as == asQuery
	}
	return as == asHex
}

// next returns the character that the text has at a byte. What is not escaped is a byte.
func (as reading) next(text string, at int) written {
	c := text[at]
	switch {
	case !as.escapes(c):
	case as == asHex:
		return hexDigits(text[at:], 0)
	case c == '\\':
		return nextJSON(text[at:])
	case c == '&':
		return nextHTML(text[at:])
	case c == '%':
		if e := hexDigits(text[at:], 1); e.written > 0 || e.open {
			return e
		}
	case c == '+':
		c = ' '
	}
	return oneByte(c, 1)
}

func oneByte(c byte, size int) written {
	return written{bytes: [utf8.UTFMax]byte{c}, means: 1, written: size}
}

func oneRune(c rune, size int) written {
	w := written{written: size}
	w.means = utf8.EncodeRune(w.bytes[:], c)
	return w
}

// hexDigits reads a byte of two digits after a prefix of a length.
func hexDigits(s string, prefix int) written {
	value := 0
	for i := prefix; i < prefix+2; i++ {
		if i == len(s) {
			return written{open: true}
		}
		digit := hexDigit(s[i])
		if digit < 0 {
			return written{}
		}
		value = value<<4 | digit
	}
	return oneByte(byte(value), prefix+2)
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// nextJSON reads an escape of a string of JSON.
func nextJSON(s string) written {
	if len(s) == 1 {
		return written{open: true}
	}
	switch c := s[1]; c {
	case '"', '\\', '/', '\'':
		return oneByte(c, 2)
	case 'b':
		return oneByte('\b', 2)
	case 'f':
		return oneByte('\f', 2)
	case 'n':
		return oneByte('\n', 2)
	case 'r':
		return oneByte('\r', 2)
	case 't':
		return oneByte('\t', 2)
	case 'u':
		unit, open := utf16Unit(s)
		switch {
		case open:
			return written{open: true}
		case unit < 0: // no escape
		case !utf16.IsSurrogate(unit):
			return oneRune(unit, 6)
		default:
			low, open := utf16Unit(s[6:])
			if open {
				return written{open: true}
			}
			if c := utf16.DecodeRune(unit, low); c != utf8.RuneError {
				return oneRune(c, 12)
			}
			return oneRune(utf8.RuneError, 6)
		}
	}
	return oneByte('\\', 1)
}

// utf16Unit reads what begins with \u and has four digits; -1 is something else. open says that it
// breaks off.
func utf16Unit(s string) (unit rune, open bool) {
	for i := range 6 {
		switch {
		case i == len(s):
			return -1, true
		case i < 2 && s[i] != `\u`[i], i >= 2 && hexDigit(s[i]) < 0:
			return -1, false
		case i >= 2:
			unit = unit<<4 | rune(hexDigit(s[i]))
		}
	}
	return unit, false
}

// nextHTML reads what an ampersand begins.
func nextHTML(s string) written {
	for _, e := range [...]struct {
		name string
		c    byte
	}{{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}} {
		if strings.HasPrefix(s, e.name) {
			return oneByte(e.c, len(e.name))
		}
		if strings.HasPrefix(e.name, s) {
			return written{open: true}
		}
	}
	if !strings.HasPrefix(s, "&#") {
		return oneByte('&', 1)
	}
	const longest = len("&#x10FFFF;")
	name := s[:min(len(s), longest)]
	digits, base := name[2:], 10
	if digits != "" && (digits[0] == 'x' || digits[0] == 'X') {
		digits, base = digits[1:], 16
	}
	end := strings.IndexByte(digits, ';')
	if end < 0 {
		end = len(digits)
	}
	code, err := strconv.ParseUint(digits[:end], base, 31)
	switch {
	case end == 0 && len(s) == len(name)-len(digits):
		return written{open: true}
	case err != nil:
	case end < len(digits):
		return oneRune(rune(code), len(name)-len(digits)+end+1)
	case len(s) < longest:
		return written{open: true}
	}
	return oneByte('&', 1)
}
