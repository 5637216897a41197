package channel

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// excerptSize is how many bytes of an answer are kept in a Result.
const excerptSize = 1024

// excerpt makes printable text of at most limit bytes, and a few for the mark
// that there was more, out of whatever an endpoint sent.
func excerpt(b []byte, limit int) string {
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
	return printable(string(b)) + more
}

// printable leaves out of a text what cannot be shown.
func printable(s string) string {
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

// clip cuts s to at most n bytes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return excerpt([]byte(s), n)
}
