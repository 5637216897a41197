package email

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

// The text is made in one pass, whatever the HTML: a whole takes as long as its parts. A machine
// that is busy meanwhile makes it take longer, but not in each of many tries.
func TestHTMLTextIsLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a few hundredths of a second of CPU time")
	}
	t.Parallel()
	const parts = 16
	timed := func(n int, source string) time.Duration {
		begin := time.Now()
		for range n {
			htmlText(source)
		}
		return time.Since(begin)
	}
	for _, unit := range []string{"<script>", "<script></script>", "<!--", "<", "<p", "</",
		"<style></style >", "&", "<!---->"} {
		part := strings.Repeat(unit, 1<<13/len(unit))
		whole := strings.Repeat(part, parts)
		linear := false
		for try := 0; try < 10 && !linear; try++ {
			linear = timed(1, whole) < parts/4*timed(parts, part)
		}
		assert.True(t, linear, unit)
	}
}

func FuzzHTMLText(f *testing.F) {
	for _, s := range []string{"<p>a</p>", "<script>x</script>", "<!-- -->", "a<b", "&#x41;&bogus;",
		"<ÏSCRIPT></İscript>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		if got := htmlText(source); utf8.ValidString(source) && !utf8.ValidString(got) {
			t.Fatalf("%q became %q", source, got)
		}
	})
}
