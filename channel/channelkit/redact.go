package channelkit

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/channel/internal/printable"
)

// excerptSize is how many bytes of an answer are kept in a Result.
const excerptSize = 1024

// A Redactor removes secrets from an endpoint's answer, because some endpoints echo the request. A
// nil Redactor removes nothing. It is safe for concurrent use.
//
// Its secrets are kept as they are, and the answer is read in every way in which an endpoint may
// have written them. To keep them in all their escaped forms would take many times their memory,
// for every endpoint of every organization.
type Redactor struct {
	text    string   // all that is looked for, in order, one after the other
	starts  []uint32 // where each begins in text, and where the last one ends
	first   [256 / 64]uint64
	longest int // of what is looked for, before it is written in another way
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
// the Redactor does not look for them in base64.
func NewRedactor(secrets []string, perhaps ...string) *Redactor {
	var list []string
	for _, s := range secrets {
		all := []string{s}
		if scheme, token, found := strings.Cut(s, " "); found && !strings.Contains(token, " ") {
			all = append(all, token)
			if strings.EqualFold(scheme, "Basic") {
				all = append(all, login(token)...)
			}
		}
		for _, s := range atLeast(minSecret, all) {
			list = append(append(list, shownForms(s)...), base64Forms(s)...)
		}
	}
	for _, s := range perhaps {
		list = append(list, shownForms(s)...)
	}
	list = atLeast(minSecret, list)
	if len(list) == 0 {
		return nil
	}
	slices.Sort(list)
	list = slices.Compact(list)
	r := &Redactor{text: strings.Join(list, ""), starts: make([]uint32, 1, len(list)+1)}
	for _, s := range list {
		r.starts = append(r.starts, r.starts[len(r.starts)-1]+uint32(len(s)))
		r.first[s[0]/64] |= 1 << (s[0] % 64)
		r.longest = max(r.longest, len(s))
	}
	return r
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

// shownForms returns a text, and what becomes of it when it is shown: what is taken out of an
// answer so that it can be shown is not looked for.
func shownForms(s string) []string {
	forms := []string{s, printable.String(s)}
	if !utf8.ValidString(s) {
		forms = append(forms, string([]rune(s))) // as JSON has it
	}
	// In JSON, control characters are escaped, and then shown, as are line separators by Go, and all
	// but ASCII by others.
	for _, raw := range []func(rune) bool{
		func(r rune) bool { return r >= ' ' },
		func(r rune) bool { return r >= ' ' && r != '\u2028' && r != '\u2029' },
		func(r rune) bool { return r == '\x7f' },
	} {
		shown := strings.Map(func(r rune) rune {
			if raw(r) && r != utf8.RuneError && !unicode.IsPrint(r) {
				return ' '
			}
			return r
		}, s)
		if shown != s {
			forms = append(forms, strings.TrimSpace(shown))
		}
	}
	return forms
}

// base64Forms returns a text as it stands in base64: alone, or anywhere in a longer text, where it
// begins at any of three bits and shares its first and last digit with the neighbouring bytes.
func base64Forms(s string) []string {
	var forms []string
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		forms = append(forms, encoding.EncodeToString([]byte(s)))
		for before := range 3 {
			digits := encoding.EncodeToString(append(make([]byte, before), s...))
			forms = append(forms, digits[(before*8+5)/6:(before+len(s))*8/6])
		}
	}
	return forms
}

// maxMargin bounds how much of an answer is read beyond an excerpt.
const maxMargin = 2048

// keep is how much of an answer must be read to make an excerpt of full length
// in which no secret of usual length is cut in two, however it is written.
func (r *Redactor) keep() int {
	if r == nil {
		return excerptSize + 1
	}
	return excerptSize + 1 + min(len(`\u0000`)*r.longest, maxMargin)
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
	text := r.hide(string(body), truncated)
	shown := printable.String(text)
	if shown != text {
		// Once more in what is shown: without the characters that are left out,
		// what stood apart may be a secret.
		shown = printable.String(r.hide(shown, truncated))
	}
	return printable.Excerpt([]byte(shown), excerptSize)
}

const mark = "[redacted]"

// maxSteps bounds what it may take to search a text in one reading. A text that looks like a secret
// at each of its bytes would take the square of its length. What has not been searched by then is
// not shown. An ordinary answer takes a small part of it.
const maxSteps = 1 << 18

// span is a part of a text, from a byte to before another.
type span struct{ from, to int }

// hide returns the text with a mark in place of each secret. If the text is truncated, the
// beginning of a secret is taken off its end.
func (r *Redactor) hide(text string, truncated bool) string {
	var found []span
	end, searched := len(text), len(text)
	for reading := range readings {
		if !reading.differs(text) {
			continue
		}
		steps := 0
		for i := 0; i < searched; i++ {
			if steps++; r.passes(text[i], reading) {
				continue
			}
			to, open := r.match(text, i, reading, &steps)
			if to > i {
				found = append(found, span{i, to})
			}
			if open && truncated && len(text)-i >= minSecret {
				end = min(end, i)
			}
			if steps > maxSteps {
				searched = i
			}
		}
	}
	if len(found) == 0 && min(end, searched) == len(text) {
		return text
	}
	// Secrets that overlap have one mark.
	slices.SortFunc(found, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var b strings.Builder
	end, shown := min(end, searched), 0
	for i := 0; i < len(found); {
		all := found[i]
		for i++; i < len(found) && found[i].from < all.to; i++ {
			all.to = max(all.to, found[i].to)
		}
		if all.to > end { // it is shown neither whole nor in part
			end = min(end, all.from)
			break
		}
		b.WriteString(text[shown:all.from])
		b.WriteString(mark)
		shown = all.to
	}
	b.WriteString(text[shown:end])
	if searched < len(text) {
		b.WriteString(mark)
	}
	return b.String()
}

// match reads the text from a byte on. It returns where the longest secret ends that is written
// there, 0 if there is none, and whether the text ends before a secret that agrees with it so far.
func (r *Redactor) match(text string, from int, as reading, steps *int) (to int, open bool) {
	lo, hi, depth := 0, len(r.starts)-1, 0 // the secrets that begin with the bytes that were read
	for at := from; ; {
		*steps++
		if at == len(text) {
			return to, true
		}
		c := as.next(text, at)
		switch {
		case c.written == 0:
			return to, c.open
		case depth == 0 && !r.begins(c.bytes[0]):
			return 0, false
		}
		at += c.written
		for _, b := range c.bytes[:c.means] {
			if lo, hi = r.narrow(lo, hi, depth, b, steps); lo == hi {
				return to, false
			}
			if depth++; r.length(lo) == depth { // the shortest comes first
				to = at
				if lo++; lo == hi {
					return to, false
				}
			}
		}
	}
}

// begins reports whether a secret begins with a byte.
func (r *Redactor) begins(b byte) bool { return r.first[b/64]&(1<<(b%64)) != 0 }

// passes reports whether no secret begins where a text has a byte.
func (r *Redactor) passes(b byte, as reading) bool {
	if as == asHex {
		return hexDigit(b) < 0
	}
	return !as.escapes(b) && !r.begins(b)
}

func (r *Redactor) length(i int) int { return int(r.starts[i+1] - r.starts[i]) }

// narrow returns those of the secrets from lo to before hi whose byte at depth is b. They are
// longer than that, and agree before it.
func (r *Redactor) narrow(lo, hi, depth int, b byte, steps *int) (int, int) {
	at := func(i int) byte { return r.text[int(r.starts[i])+depth] }
	begin := func(lo, hi int, after bool) int { // of those with the byte, or of those after them
		for lo < hi {
			*steps++
			middle := (lo + hi) / 2
			if c := at(middle); c < b || after && c == b {
				lo = middle + 1
			} else {
				hi = middle
			}
		}
		return lo
	}
	if at(lo) != b {
		lo = begin(lo, hi, false)
	}
	if lo < hi && at(hi-1) != b {
		hi = begin(lo, hi, true)
	}
	return lo, hi
}
