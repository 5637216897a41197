package channelkit

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/channel/internal/printable"
)

// excerptSize is how many bytes of an answer are kept in a Result.
const excerptSize = 1024

// A Redactor removes secrets from an endpoint's answer, because some endpoints echo the request. A
// nil Redactor removes nothing. It is safe for concurrent use.
type Redactor struct {
	forms    []string // the longest first
	replacer *strings.Replacer
}

// minSecret is the length from which on a value is looked for. Shorter ones
// would be found in innocent text everywhere.
const minSecret = 4

// NewRedactor returns a Redactor that removes these secrets. It ignores values of fewer than 4
// bytes, because they occur everywhere. It finds a secret as it is written and as an endpoint may
// echo it: in JSON as several languages write it, and in HTML, URL, hexadecimal and base64
// encoding. In a credential it also finds the token without its scheme, such as "Bearer", and the
// user name and password of "Basic".
//
// The values in perhaps, such as the texts of a template, may contain a secret but usually do not:
// the Redactor does not look for them in hexadecimal and base64.
func NewRedactor(secrets []string, perhaps ...string) *Redactor {
	var forms []string
	for _, s := range secrets {
		all := []string{s}
		if scheme, token, found := strings.Cut(s, " "); found && !strings.Contains(token, " ") {
			all = append(all, token)
			if strings.EqualFold(scheme, "Basic") {
				all = append(all, login(token)...)
			}
		}
		for _, s := range atLeast(minSecret, all) {
			forms = append(append(forms, escapedForms(s)...), encodedForms(s)...)
		}
	}
	for _, s := range perhaps {
		forms = append(forms, escapedForms(s)...)
	}
	// What is taken out of an answer so that it can be shown is not looked for.
	for _, s := range slices.Clone(forms) {
		if shown := printable.String(s); shown != s {
			forms = append(forms, shown)
		}
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
	return &Redactor{forms: forms, replacer: strings.NewReplacer(pairs...)}
}

// login returns the user and password of HTTP's Basic scheme (RFC 7617), and
// the password alone.
func login(token string) []string {
	pair, err := base64.StdEncoding.DecodeString(token)
	_, password, found := strings.Cut(string(pair), ":")
	if err != nil || !found {
		return nil
	}
	return []string{string(pair), password}
}

// escapedForms returns a text as it stands in other texts.
func escapedForms(s string) []string {
	// Strings only. Go escapes <, > and &; PHP escapes the slash; Python and PHP
	// all but ASCII.
	safe, _ := json.Marshal(s)
	plain, _ := JSON(s)
	quoted := string(plain[1 : len(plain)-1])
	inHTML := html.EscapeString(s)
	forms := []string{
		s, string(safe[1 : len(safe)-1]), quoted, strings.ReplaceAll(quoted, "/", `\/`),
		asciiJSON(quoted), strings.ReplaceAll(asciiJSON(quoted), "/", `\/`),
		inHTML, strings.NewReplacer("&#34;", "&quot;", "&#39;", "&#x27;").Replace(inHTML),
		strings.NewReplacer("&#34;", "&quot;", "&#39;", "&#039;").Replace(inHTML),
	}
	for _, escaped := range []string{url.QueryEscape(s), url.PathEscape(s),
		percentEncode(strings.ReplaceAll(s, "%", "%25"), "")} {
		forms = append(forms, escaped, lowerEscapes(escaped))
	}
	slices.Sort(forms)
	return slices.Compact(forms)
}

// asciiJSON escapes everything outside ASCII in a JSON string.
func asciiJSON(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// lowerEscapes writes the digits of percent escapes in lower case.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(string(b[i+1:i+3])))
		}
	}
	return string(b)
}

// encodedForms returns a text in hexadecimal, and as it stands in base64: alone,
// or anywhere in a longer text, where it begins at any of three bits and shares
// its first and last digit with the neighbouring bytes.
func encodedForms(s string) []string {
	forms := []string{hex.EncodeToString([]byte(s)), strings.ToUpper(hex.EncodeToString([]byte(s)))}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		forms = append(forms, encoding.EncodeToString([]byte(s)))
		for before := range 3 {
			digits := encoding.EncodeToString(append(make([]byte, before), s...))
			forms = append(forms, digits[(before*8+5)/6:(before+len(s))*8/6])
		}
	}
	return forms
}

// keep is how much of an answer must be read to make an excerpt of full length
// in which no secret is cut in two.
func (r *Redactor) keep() int {
	if r == nil {
		return excerptSize + 1
	}
	return excerptSize + 1 + len(r.forms[0])
}

// Response returns the beginning of an answer's body without secrets, as Result.Response. A body
// with a Content-Encoding is not shown as text, because secrets cannot be found in it.
func (r *Redactor) Response(reply *HTTPResponse) string {
	coding := reply.Header.Get("Content-Encoding")
	if coding == "" || strings.EqualFold(coding, "identity") || len(reply.Body) == 0 {
		return r.Excerpt(reply.Body, reply.Truncated)
	}
	return "(a body in a coding that was not asked for: " + r.Excerpt([]byte(printable.Clip(coding,
		40)), true) + ")"
}

// Excerpt returns the beginning of a body without secrets, as Result.Response. truncated says that
// the body breaks off, perhaps in the middle of a secret.
func (r *Redactor) Excerpt(body []byte, truncated bool) string {
	if len(body) == 0 {
		return ""
	}
	if r == nil || len(body) < minSecret {
		return printable.Excerpt(body, excerptSize)
	}
	if keep := r.keep(); len(body) > keep {
		body, truncated = body[:keep], true
	}
	text := string(body)
	// A second time in what is shown: without the characters that are left out,
	// what stood apart may be a secret.
	for range 2 {
		if truncated {
			text = r.cutPartial(text)
		}
		text = printable.String(r.replacer.Replace(text))
	}
	return printable.Excerpt([]byte(text), excerptSize)
}

// cutPartial takes the beginning of a secret off the end of a text, again and
// again, because what is then its end may be another's beginning.
func (r *Redactor) cutPartial(text string) string {
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
