package channel

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The longest line that a header should have, and the longest encoded word (RFC
// 2047, section 2, which also bounds the lines that have one).
const (
	maxHeaderLine  = 76
	maxEncodedWord = 75
)

// textField returns a header field whose value is for people. A reader shows
// what is in value, even if that looks like an encoded word already. The field
// is left out when there is none.
func textField(name, value string) string {
	switch {
	case value == "":
		return ""
	case needsEncoding(value):
		return fold(name, encodedWords(value, maxHeaderLine-len(name)-2))
	}
	return fold(name, strings.Split(value, " "))
}

// addressField returns a header field of addresses, and nothing for none.
func addressField(name string, list []mailbox) string {
	if len(list) == 0 {
		return ""
	}
	var words []string
	for i, m := range list {
		end := ","
		if i == len(list)-1 {
			end = ""
		}
		switch {
		case m.name == "":
		case needsEncoding(m.name) || len(m.name) > maxHeaderLine/2:
			first := maxEncodedWord
			if i == 0 {
				first = maxHeaderLine - len(name) - 2
			}
			words = append(words, encodedWords(m.name, first)...)
		default:
			words = append(words, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(m.name)+`"`)
		}
		words = append(words, "<"+m.address+">"+end)
	}
	return fold(name, words)
}

// fold joins the words of a field's value by blanks, and by line breaks before
// a line becomes too long.
func fold(name string, words []string) string {
	var b strings.Builder
	b.WriteString(name + ":")
	at := b.Len()
	for i, word := range words {
		if i > 0 && at+1+len(word) > maxHeaderLine {
			b.WriteString("\r\n")
			at = 0
		}
		b.WriteString(" " + word)
		at += 1 + len(word)
	}
	b.WriteString("\r\n")
	return b.String()
}

// needsEncoding reports whether a header cannot hold the text as it is. An
// encoded word in the text would be decoded by the reader's mail program.
func needsEncoding(s string) bool {
	return strings.Contains(s, "=?") || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// encodedWords writes a text as encoded words, in the Q encoding of a phrase (RFC
// 2047, section 5), which is right everywhere. No character is cut in two. The
// first word has at most so many bytes.
func encodedWords(s string, first int) []string {
	const begin, end, hex = "=?utf-8?q?", "?=", "0123456789ABCDEF"
	var words []string
	var word, char strings.Builder
	limit := first
	for _, r := range s {
		char.Reset()
		for _, c := range utf8.AppendRune(nil, r) {
			switch {
			case c == ' ':
				char.WriteByte('_')
			case c < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.IndexByte("!*+-/", c) >= 0:
				char.WriteByte(c)
			default:
				char.Write([]byte{'=', hex[c>>4], hex[c&15]})
			}
		}
		if word.Len()+char.Len() > limit-len(begin)-len(end) {
			words = append(words, begin+word.String()+end)
			word.Reset()
			limit = maxEncodedWord
		}
		word.WriteString(char.String())
	}
	return append(words, begin+word.String()+end)
}

// textLine makes one line of at most limit bytes, and three for the mark that
// there was more, out of whatever an event holds. What is not valid UTF-8 is
// replaced. What has no look of its own is dropped: controls of the direction
// of text in particular, with which a line shows other than it is. Marks that
// make one sign of several characters stay.
func textLine(s string, limit int) string {
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
