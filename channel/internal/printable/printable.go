// Package printable makes text for people of what strangers sent.
package printable

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Excerpt makes printable text of at most limit bytes, and a few for the mark
// that there was more, out of whatever an endpoint sent.
func Excerpt(b []byte, limit int) string {
	more := ""
	if len(b) > limit {
		b, more = b[:limit], "…"
		// Do not cut a character in two.
		for i := 1; i < utf8.UTFMax && i < len(b); i++ {
			if tail := b[len(b)-i:]; utf8.RuneStart(tail[0]) {
				if !utf8.FullRune(tail) {
					b = b[:len(b)-i]
				}
				break
			}
		}
	}
	return String(string(b)) + more
}

// String leaves out of a text what cannot be shown.
func String(s string) string {
	plain := true
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == utf8.RuneError || unicode.IsPrint(r):
			return r
		case r == '\r':
			return -1
		}
		return ' '
	}, strings.ToValidUTF8(s, "\uFFFD")))
}

// Clip cuts s to at most n bytes.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return Excerpt([]byte(s), n)
}

// Line makes one line of any text, of at most limit bytes and three more for the mark
// that something was cut. Invalid UTF-8 is replaced. Characters without a shape of
// their own are dropped, in particular those that control the direction of text and
// so make a line look different from what it is. Joiners, which make one sign of
// several characters, stay.
func Line(s string, limit int) string {
	s, more := strings.ToValidUTF8(s, "\uFFFD"), ""
	if len(s) > limit {
		end := limit
		for !utf8.RuneStart(s[end]) {
			end--
		}
		s, more = s[:end], "…"
	}
	var before rune
	s = strings.Map(func(r rune) rune {
		last := before
		before = r
		switch {
		case r == utf8.RuneError || joins(last, r):
			return r
		case unicode.Is(unicode.Cf, r):
			before = last
			return -1
		case !unicode.IsPrint(r):
			return ' '
		}
		return r
	}, s)
	if more != "" {
		s = strings.TrimRight(s, "\u200c\u200d")
	}
	return strings.Join(strings.Fields(s), " ") + more
}

// joins reports whether r, which has no look of its own, changes that of its
// neighbours: the joiners, without which a family falls apart into its members
// and a Persian word into pieces, the signs that enclose Arabic numbers, and the
// tags that make a flag out of a black one.
func joins(before, r rune) bool {
	isTag := func(r rune) bool { return r >= '\U000E0020' && r <= '\U000E007F' }
	switch {
	case r == '\u200c' || r == '\u200d' || unicode.Is(unicode.Prepended_Concatenation_Mark, r):
		return true
	case isTag(r):
		return before == '\U0001F3F4' || isTag(before)
	}
	return false
}
