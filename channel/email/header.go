package email

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
	return strings.Contains(s, "=?") ||
		strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
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
			case c < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) ||
				strings.IndexByte("!*+-/", c) >= 0:
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
