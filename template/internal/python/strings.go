package python

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// Python's functions on strings, where Go's differ.

// SplitRune returns the first character of s and its length in bytes.
func SplitRune(s string) (rune, int) { return utf8.DecodeRuneInString(s) }

// IsASCII reports whether s has ASCII only.
func IsASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Upper is s.upper().
func Upper(s string) string {
	if strings.IndexFunc(s, growsInUpper) < 0 {
		return strings.ToUpper(s)
	}
	return cases.Upper(language.Und).String(s)
}

// growsInUpper reports whether a character may become several in upper or title case, as ß becomes
// SS: it is lower case without a single upper case, or one of the Greek letters with a iota below.
func growsInUpper(r rune) bool {
	return r >= utf8.RuneSelf && (unicode.IsLower(r) && unicode.ToUpper(r) == r || r >= 0x1f80 &&
		r <= 0x1ffc)
}

// Lower is s.lower().
func Lower(s string) string {
	if strings.ContainsAny(s, "Σİ") { // a sigma at the end of a word, an i that keeps its dot
		return cases.Lower(language.Und).String(s)
	}
	return strings.ToLower(s)
}

// Casefold is s.casefold().
func Casefold(s string) string {
	if IsASCII(s) {
		return strings.ToLower(s)
	}
	return cases.Fold().String(s)
}

// Capitalize is s.capitalize().
func Capitalize(s string) string {
	if s == "" {
		return ""
	}
	_, n := SplitRune(s)
	return titleRune(s[:n]) + Lower(s[n:])
}

// titleRune is the title case of one character.
func titleRune(s string) string {
	if r, _ := SplitRune(s); !growsInUpper(r) {
		return string(unicode.ToTitle(r))
	}
	return cases.Title(language.Und, cases.NoLower).String(s)
}

// Title is str.title(): every run of letters begins with a capital.
func Title(s string) string {
	var b strings.Builder
	inside := false
	title := remembered(titleRune)
	for _, r := range s {
		switch cased := isCased(r); {
		case cased && inside:
			b.WriteRune(unicode.ToLower(r))
		case cased:
			b.WriteString(title(r))
			inside = true
		default:
			b.WriteRune(r)
			inside = false
		}
	}
	return b.String()
}

func isCased(r rune) bool { return unicode.IsUpper(r) || IsLower(r) || unicode.IsTitle(r) }

// IsLower reports whether Python takes r for a lower case character.
func IsLower(r rune) bool { return unicode.IsLower(r) || unicode.Is(unicode.Other_Lowercase, r) }

// remembered is f of one character, which is called once for each: the tables behind it are slow.
func remembered(f func(string) string) func(rune) string {
	known := map[rune]string{}
	return func(r rune) string {
		s, ok := known[r]
		if !ok {
			s = f(string(r))
			known[r] = s
		}
		return s
	}
}

// Swapcase is s.swapcase().
func Swapcase(s string) string {
	var b strings.Builder
	upper := remembered(Upper)
	for _, r := range s {
		switch {
		case unicode.IsUpper(r):
			b.WriteRune(unicode.ToLower(r))
		case growsInUpper(r):
			b.WriteString(upper(r))
		case unicode.IsLower(r):
			b.WriteRune(unicode.ToUpper(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Padding is where a text is filled up.
type Padding uint8

// Where a text is filled up.
const (
	PadLeft Padding = iota // fill on the left
	PadRight
	PadCenter
)

// Pad fills s up to width characters.
func (st *State) Pad(s string, width int64, fill string, where Padding) (string, error) {
	runes, err := st.Runes(s)
	if err != nil {
		return "", err
	}
	missing := width - int64(runes)
	if missing <= 0 {
		return s, nil
	}
	if err := st.Alloc(len(s)); err != nil {
		return "", err
	}
	if err := st.AllocTimes(len(fill), missing); err != nil {
		return "", err
	}
	left := missing
	switch where {
	case PadRight:
		left = 0
	case PadCenter:
		left = missing/2 + missing&width&1
	}
	return strings.Repeat(fill, int(left)) + s + strings.Repeat(fill, int(missing-left)), nil
}

// isLineEnd lists what Python's splitlines splits at.
func isLineEnd(r rune) bool {
	switch r {
	case '\n', '\r', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
		return true
	}
	return false
}

// CutLine cuts s after its first line; more reports whether the line has an end, which may be that
// of s.
func CutLine(s string) (line, rest string, more bool) {
	i := strings.IndexFunc(s, isLineEnd)
	if i < 0 {
		return s, "", false
	}
	_, n := SplitRune(s[i:])
	if strings.HasPrefix(s[i:], "\r\n") {
		n = 2
	}
	return s[:i], s[i+n:], true
}

// IsSpace is Python's idea of white space, a little wider than Go's.
func IsSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// Decimal reports whether c is a digit.
func Decimal(c byte) bool { return c >= '0' && c <= '9' }

// IdentifierLength is how many bytes at the beginning of s are an identifier.
func IdentifierLength(s string) int {
	n := strings.IndexFunc(s, func(r rune) bool {
		return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r)
	})
	if n < 0 {
		return len(s)
	}
	return n
}
