package channelkit

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/internal/printable"
)

func TestRedactor(t *testing.T) {
	t.Parallel()
	r := NewRedactor([]string{"secret-one", "abc", "secret-one-longer", "", "secret-one"})
	assert.Equal(t, "a [redacted] b [redacted] tiny",
		r.Excerpt([]byte("a secret-one b secret-one-longer tiny"), false))
	assert.Equal(t, excerptSize+1+len(`\u0000`)*len(base64Forms("secret-one-longer")[0]), r.keep(),
		"the longest, each byte of it escaped")
	assert.Nil(t, NewRedactor([]string{"abc", ""}))

	r = NewRedactor([]string{`Bearer q"uo<te&d/token`})
	for _, echo := range []string{`q"uo<te&d/token`, `{"auth":"Bearer q\"uo\u003cte\u0026d/token"}`,
		`q&#34;uo&lt;te&amp;d/token`, `?t=q%22uo%3Cte%26d%2Ftoken`,
		`{"python":"q\"uo<te&d/token"}`, `{"php":"q\"uo<te&d\/token"}`} {
		assert.NotContains(t, r.Excerpt([]byte(echo), false), "token", echo)
	}
	assert.Equal(t, "Bearer expected", r.Excerpt([]byte("Bearer expected"), false))
	r = NewRedactor([]string{"secret-one"})

	var none *Redactor
	assert.Equal(t, "anything", none.Excerpt([]byte("anything"), true))
	assert.Equal(t, excerptSize+1, none.keep())

	// A secret at the cut is not left in half.
	long := strings.Repeat("x", excerptSize-5) + "secret-one"
	assert.NotContains(t, r.Excerpt([]byte(long), false), "secr")
	assert.Equal(t, "a secre", r.Excerpt([]byte("a secre"), false),
		"a complete answer is shown to its end")
	for cut := range len("secret-one") {
		got := r.Excerpt([]byte("a secret-one"[:2+cut]), true)
		assert.LessOrEqual(t, len(got), 2+3, "at most three characters: %q", got)
	}

	// What is cut off may have hidden that a whole secret came before it.
	r = NewRedactor([]string{"secret-one", "-one-more"})
	assert.Equal(t, "a ", r.Excerpt([]byte("a secret-one"), true))
	// Replacing makes a text shorter: what was read is no longer beyond the excerpt.
	r = NewRedactor([]string{strings.Repeat("ab", 200)})
	assert.NotContains(t, r.Excerpt([]byte(strings.Repeat(strings.Repeat("ab", 200)+".", 20)), false),
		"abab")
}

// echoes returns a text as servers in several languages write it.
func echoes(s string) []string {
	// Go escapes <, > and &; PHP escapes the slash; Python and PHP all but ASCII.
	safe, _ := json.Marshal(s)
	plain, _ := JSON(s)
	quoted := string(plain[1 : len(plain)-1])
	inHTML := html.EscapeString(s)
	list := []string{
		s, string(safe[1 : len(safe)-1]), quoted, strings.ReplaceAll(quoted, "/", `\/`),
		asciiJSON(quoted), strings.ReplaceAll(asciiJSON(quoted), "/", `\/`),
		inHTML, strings.NewReplacer("&#34;", "&quot;", "&#39;", "&#x27;").Replace(inHTML),
		strings.NewReplacer("&#34;", "&quot;", "&#39;", "&#039;").Replace(inHTML),
		hex.EncodeToString([]byte(s)), strings.ToUpper(hex.EncodeToString([]byte(s))),
		base64.StdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s)),
	}
	for _, escaped := range []string{url.QueryEscape(s), url.PathEscape(s),
		percentEncode(strings.ReplaceAll(s, "%", "%25"), "")} {
		list = append(list, escaped)
		if s == strings.ToLower(s) {
			list = append(list, strings.ToLower(escaped)) // some write %2f for %2F
		}
	}
	return list
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

// Whatever a secret is made of, and however it is written, nothing of it is shown: in the middle of
// an answer, and where the answer breaks off.
func TestRedactorFindsEveryForm(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	alphabets := []string{`ab\"/<>&'%+ =`, "aü€😀\u200b\u2028\r\n\x01\x7f\ufffd<", "0123456789abcdef",
		"&#x27;amp\\u003c%3C+", "\ud7ff\ue000\U0010ffff\\/\xff", "abcdefghijklmnopqrstuvwxyz"}
	secrets := 40
	if testing.Short() {
		secrets = 6
	}
	for range secrets {
		letters := []rune(alphabets[random.IntN(len(alphabets))])
		var letterByLetter strings.Builder
		for range 6 + random.IntN(20) {
			if c := letters[random.IntN(len(letters))]; c == utf8.RuneError && random.IntN(2) == 0 {
				letterByLetter.WriteByte(0xff)
			} else {
				letterByLetter.WriteRune(c)
			}
		}
		secret := "x" + letterByLetter.String() + "y" // what is blank is not shown at the ends
		r := NewRedactor([]string{secret, "another-secret", secret[2:]})
		for _, form := range echoes(secret) {
			for _, form := range []string{form, printable.String(form)} {
				checkEcho(t, r, secret, form)
			}
		}
	}
}

func checkEcho(t *testing.T, r *Redactor, secret, form string) {
	t.Helper()
	const before, after = "Got:", "(thanks)"
	shown := r.Excerpt([]byte(before+form+after), false)
	require.Contains(t, shown, mark, "%q as %q", secret, form)
	rest := strings.TrimSuffix(strings.TrimPrefix(shown, before), after)
	rest = strings.Trim(strings.ReplaceAll(rest, mark, ""), "=") // of base64
	require.Empty(t, rest, "%q as %q is shown as %q", secret, form, shown)
	for end := range len(form) {
		shown := strings.ReplaceAll(r.Excerpt([]byte(before+form[:end]), true), mark, "")
		require.LessOrEqual(t, utf8.RuneCountInString(shown), len(before)+minSecret-1,
			"%q as %q: %q", secret, form[:end], shown)
	}
}

// What is shown of an answer that would take too long to search is what was searched.
func TestRedactorEndsInTime(t *testing.T) {
	t.Parallel()
	r := NewRedactor(nil, strings.Repeat("a", 60_000)+"b")
	shown := r.Excerpt([]byte("An error: "+strings.Repeat("a", 3000)), false)
	assert.True(t, strings.HasPrefix(shown, "An error: a"), "%.20q", shown)
	assert.True(t, strings.HasSuffix(shown, mark), shown[len(shown)-20:])
	assert.Less(t, len(shown), 500)
}
