package channel

import (
	"cmp"
	"encoding/json"
	"html"
	"net/url"
	"slices"
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
	plain := true
	for _, c := range b {
		if c < ' ' || c > '~' {
			plain = false
			break
		}
	}
	if plain {
		return string(b) + more
	}
	text := strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == utf8.RuneError || unicode.IsPrint(r):
			return r
		case r == '\r':
			return -1
		}
		return ' '
	}, strings.ToValidUTF8(string(b), "\uFFFD"))
	return strings.TrimSpace(text) + more
}

// clip cuts s to at most n bytes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return excerpt([]byte(s), n)
}

// A redactor takes secrets out of what an endpoint answered, because some
// endpoints echo the request. A nil redactor takes nothing out.
type redactor struct {
	replacer *strings.Replacer
	longest  int
}

// minSecret is the length from which on a value is looked for. Shorter ones
// would be found in innocent text.
const minSecret = 6

// newRedactor makes a redactor for the values that are long enough to be
// secrets, as they are and as an endpoint that echoes them may write them: in
// JSON, in HTML, in a URL, and a token without the scheme before it.
func newRedactor(secrets ...string) *redactor {
	var forms []string
	for _, s := range secrets {
		forms = append(forms, s)
		if words := strings.Fields(s); len(words) == 2 {
			forms = append(forms, words[1])
		}
	}
	for _, s := range slices.Clone(forms) {
		quoted, _ := json.Marshal(s) // a string only
		forms = append(forms, string(quoted[1:len(quoted)-1]), html.EscapeString(s), url.QueryEscape(s))
	}
	forms = slices.DeleteFunc(forms, func(s string) bool { return len(s) < minSecret })
	if len(forms) == 0 {
		return nil
	}
	// The longest first: a secret within a secret must not break the outer one.
	slices.SortFunc(forms, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	pairs := make([]string, 0, 2*len(forms))
	for _, s := range slices.Compact(forms) {
		pairs = append(pairs, s, "[redacted]")
	}
	return &redactor{replacer: strings.NewReplacer(pairs...), longest: len(forms[0])}
}

// keep is how much of an answer must be read to make an excerpt in which no
// secret is cut in two.
func (r *redactor) keep() int {
	if r == nil {
		return excerptSize + 1
	}
	return excerptSize + 1 + r.longest
}

// excerpt makes a Result's Response of the first keep bytes of a body.
func (r *redactor) excerpt(body []byte) string {
	if len(body) == 0 {
		return ""
	}
	if r == nil || len(body) < minSecret {
		return excerpt(body, excerptSize)
	}
	clean := r.replacer.Replace(string(body))
	return excerpt([]byte(clean), excerptSize)
}
