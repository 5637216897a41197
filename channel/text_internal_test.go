package channel

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestHTMLText(t *testing.T) {
	t.Parallel()
	tests := []struct{ html, want string }{
		{"", "\n"},
		{"plain", "plain\n"},
		{"a &amp; b &lt;c&gt; &euro;", "a & b <c> €\n"},
		{"<p>one</p><p>two</p>", "one\ntwo\n"},
		{"<P CLASS=x>one</P\n>two<BR/>three", "one\ntwo\nthree\n"},
		{"one\n  two\r\nthree", "one two three\n"},
		{"<ul><li>a</li><li>b</li></ul>", "- a\n- b\n"},
		{"<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc\n"},
		{"x<style>p{color:red}</style><script>if (a<b) {}</script>y", "xy\n"},
		{"x<script>never closed", "x\n"},
		{"<head><title>t</title></head><body>b</body>", "b\n"},
		{"a<!-- <p>hidden</p> -->b", "ab\n"},
		{"a<!-- open", "a\n"},
		{"a<b", "a\n"},
		{"a<", "a\n"},
		{"<p></p><p></p><p>x</p><br><br><br><br>y", "x\n\ny\n"},
		{"<a href='https://example.com/?a=1&b=2'>link</a>", "link\n"},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, htmlText(tt.html), "%q", tt.html)
	}
}

// The text is made in one pass, whatever the HTML.
func TestHTMLTextIsLinear(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"<script>", "<script></script>", "<!--", "<", "<p", "</", "<style></style >", "&", "<!---->"} {
		begin := time.Now()
		htmlText(strings.Repeat(unit, 1<<20/len(unit)))
		assert.Less(t, time.Since(begin), 3*time.Second, unit)
	}
}

func FuzzHTMLText(f *testing.F) {
	for _, s := range []string{"<p>a</p>", "<script>x</script>", "<!-- -->", "a<b", "&#x41;&bogus;", "<ÏSCRIPT></İscript>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		if got := htmlText(source); utf8.ValidString(source) && !utf8.ValidString(got) {
			t.Fatalf("%q became %q", source, got)
		}
	})
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"", ""},
		{"ok", "ok"},
		{"a\r\nb\tc", "a\nb\tc"},
		{"\x1b[2Jx\x00y\x7f", "[2Jx y"},
		{"\xff\xfe", "\uFFFD"},
		{"ü\u202e", "ü"},
		{strings.Repeat("x", 10), strings.Repeat("x", 10)},
		{strings.Repeat("x", 11), strings.Repeat("x", 10) + "…"},
		{strings.Repeat("x", 9) + "ü", strings.Repeat("x", 9) + "…"},
		{strings.Repeat("x", 8) + "üü", strings.Repeat("x", 8) + "ü…"},
		{strings.Repeat("x", 7) + "😀", strings.Repeat("x", 7) + "…"},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, excerpt([]byte(tt.in), 10), "%q", tt.in)
	}
}

func TestRedactor(t *testing.T) {
	t.Parallel()
	r := newRedactor([]string{"secret-one", "abc", "secret-one-longer", "", "secret-one"})
	assert.Equal(t, "a [redacted] b [redacted] tiny", r.excerpt([]byte("a secret-one b secret-one-longer tiny"), false))
	assert.Equal(t, excerptSize+1+2*len("secret-one-longer"), r.keep(), "the longest form is the hexadecimal one")
	assert.Nil(t, newRedactor([]string{"abc", ""}))

	r = newRedactor([]string{`Bearer q"uo<te&d/token`})
	for _, echo := range []string{`q"uo<te&d/token`, `{"auth":"Bearer q\"uo\u003cte\u0026d/token"}`, `q&#34;uo&lt;te&amp;d/token`, `?t=q%22uo%3Cte%26d%2Ftoken`,
		`{"python":"q\"uo<te&d/token"}`, `{"php":"q\"uo<te&d\/token"}`} {
		assert.NotContains(t, r.excerpt([]byte(echo), false), "token", echo)
	}
	assert.Equal(t, "Bearer expected", r.excerpt([]byte("Bearer expected"), false))
	r = newRedactor([]string{"secret-one"})

	var none *redactor
	assert.Equal(t, "anything", none.excerpt([]byte("anything"), true))
	assert.Equal(t, excerptSize+1, none.keep())

	// A secret at the cut is not left in half.
	long := strings.Repeat("x", excerptSize-5) + "secret-one"
	assert.NotContains(t, r.excerpt([]byte(long), false), "secr")
	assert.Equal(t, "a secre", r.excerpt([]byte("a secre"), false), "a complete answer is shown to its end")
	for cut := range len("secret-one") {
		got := r.excerpt([]byte("a secret-one"[:2+cut]), true)
		assert.LessOrEqual(t, len(got), 2+3, "at most three characters: %q", got)
	}

	// What is cut off may have hidden that a whole secret came before it.
	r = newRedactor([]string{"secret-one", "-one-more"})
	assert.Equal(t, "a ", r.excerpt([]byte("a secret-one"), true))
	// Replacing makes a text shorter: what was read is no longer beyond the excerpt.
	r = newRedactor([]string{strings.Repeat("ab", 200)})
	assert.NotContains(t, r.excerpt([]byte(strings.Repeat(strings.Repeat("ab", 200)+".", 20)), false), "abab")
}
