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
	forms    []string // the longest first
	replacer *strings.Replacer
}

// minSecret is the length from which on a value is looked for. Shorter ones
// would be found in innocent text everywhere.
const minSecret = 4

// newRedactor makes a redactor for the values that are long enough to be
// secrets, as they are and as an endpoint that echoes them may write them: in
// JSON of several dialects, in HTML, in a URL, and a token without the scheme
// before it.
func newRedactor(secrets ...string) *redactor {
	var forms []string
	for _, s := range secrets {
		forms = append(forms, s)
		if words := strings.Fields(s); len(words) == 2 {
			forms = append(forms, words[1])
		}
	}
	for _, s := range slices.Clone(forms) {
		// Strings only. Go escapes <, > and &; PHP escapes the slash.
		safe, _ := json.Marshal(s)
		plain, _ := encode(s)
		quoted := string(plain[1 : len(plain)-1])
		forms = append(forms, string(safe[1:len(safe)-1]), quoted, strings.ReplaceAll(quoted, "/", `\/`),
			html.EscapeString(s), url.QueryEscape(s), url.PathEscape(s))
	}
	forms = slices.DeleteFunc(forms, func(s string) bool { return len(s) < minSecret })
	if len(forms) == 0 {
		return nil
	}
	// The longest first: a secret within a secret must not break the outer one.
	slices.SortFunc(forms, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	forms = slices.Compact(forms)
	pairs := make([]string, 0, 2*len(forms))
	for _, s := range forms {
		pairs = append(pairs, s, "[redacted]")
	}
	return &redactor{forms: forms, replacer: strings.NewReplacer(pairs...)}
}

// keep is how much of an answer must be read to make an excerpt of full length
// in which no secret is cut in two.
func (r *redactor) keep() int {
	if r == nil {
		return excerptSize + 1
	}
	return excerptSize + 1 + len(r.forms[0])
}

// excerpt makes a Result's Response of a body. truncated says that it breaks
// off, perhaps in the middle of a secret.
func (r *redactor) excerpt(body []byte, truncated bool) string {
	if len(body) == 0 {
		return ""
	}
	if r == nil || len(body) < minSecret {
		return excerpt(body, excerptSize)
	}
	if keep := r.keep(); len(body) > keep {
		body, truncated = body[:keep], true
	}
	text := string(body)
	if truncated {
		text = r.cutPartial(text)
	}
	return excerpt([]byte(r.replacer.Replace(text)), excerptSize)
}

// cutPartial takes the beginning of a secret off the end of a text, again and
// again, because what is then its end may be another's beginning.
func (r *redactor) cutPartial(text string) string {
	for {
		n := 0
		for _, form := range r.forms {
			for i := min(len(form)-1, len(text)); i >= minSecret && i > n; i-- {
				if strings.HasSuffix(text, form[:i]) {
					n = i
				}
			}
		}
		if n == 0 {
			return text
		}
		text = text[:len(text)-n]
	}
}
