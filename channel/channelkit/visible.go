package channelkit

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// isInvisible reports whether a character is a blank of any kind, a control
// character, or one that shows nothing, such as U+200B: what comes along when
// people copy, and what they do not see when they look for the mistake. The
// character that replaces invalid UTF-8 is one of them, because something else
// stood there.
func isInvisible(r rune) bool {
	const blankBraille = 0x2800 // of all that is printed it alone is empty
	return !unicode.IsPrint(r) || r == ' ' || r == utf8.RuneError || r == blankBraille ||
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// Invisible returns the rule that s breaks if it contains white space, a control character or
// another character that does not show, other than those in allowed. Otherwise it returns "". The
// text names the character and its position, and contains nothing else of s.
func Invisible(s string, allowed string) string {
	n, total := 0, utf8.RuneCountInString(s)
	for _, r := range s {
		n++
		if !isInvisible(r) || strings.ContainsRune(allowed, r) {
			continue
		}
		place := fmt.Sprintf("character %d", n)
		switch n {
		case 1:
			place = "the first character"
		case total:
			place = "the last character"
		}
		return fmt.Sprintf("must not hold white space, control characters or characters that cannot be seen: %s is U+%04X", place, r)
	}
	return ""
}
