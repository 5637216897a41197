package dispatch

import (
	"strings"
	"unicode/utf8"
)

// storable says whether every store can hold the texts. What it says no to is in
// no store, so that looking for it finds nothing; databases would fail in ways of
// their own.
func storable(texts ...string) bool {
	for _, s := range texts {
		if !utf8.ValidString(s) || strings.Contains(s, "\x00") {
			return false
		}
	}
	return true
}
