package console

import (
	"strings"
	"testing"
)

// A word is the same word for the shell, and ends where it ends.
func FuzzQuote(f *testing.F) {
	for _, seed := range []string{"", "a", "'", `\'`, "a'; rm -rf ~; '", "$(x)", "\n", `'\''`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, word string) {
		got, quoted := strings.Builder{}, false
		for s := quote(word); s != ""; s = s[1:] {
			switch {
			case s[0] == '\'':
				quoted = !quoted
			case quoted:
				got.WriteByte(s[0])
			case s[0] == '\\' && len(s) > 1 && s[1] == '\'':
				got.WriteByte('\'')
				s = s[1:]
			default:
				t.Fatalf("%q becomes %s, in which %q is not quoted", word, quote(word), s)
			}
		}
		if quoted || got.String() != word {
			t.Errorf("%q becomes %s, which is %q", word, quote(word), got.String())
		}
	})
}
