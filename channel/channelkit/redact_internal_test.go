package channelkit

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRedactor(t *testing.T) {
	t.Parallel()
	r := NewRedactor([]string{"secret-one", "abc", "secret-one-longer", "", "secret-one"})
	assert.Equal(t, "a [redacted] b [redacted] tiny",
		r.Excerpt([]byte("a secret-one b secret-one-longer tiny"), false))
	assert.Equal(t, excerptSize+1+2*len("secret-one-longer"), r.keep(),
		"the longest form is the hexadecimal one")
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
