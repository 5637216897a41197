package builtin

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// A search that goes on in the middle of a text finds what one of the whole text finds there.
func TestMatchesThatLookBack(t *testing.T) {
	t.Parallel()
	texts := []string{"", "a", "ab a_b\nab", "ää b\n\nß", "a\xffb a", "aaaa", " a  b ", "\n\n"}
	for _, pattern := range []string{
		`\b`, `\B`, `\bab?`, `(?m)^`, `(?m)^(.*)$`, `^a`, `\Aa|b`, `(?i)\bA(B)?\b`, `(\b|a)(b?)`, `a*?\b`,
		`(?m)^a?|(b)`, `(?P<n>\w+)\b`, `(?sm)^.`, `a|\b`,
	} {
		for _, text := range texts {
			want := regexp.MustCompile(pattern).FindAllStringSubmatchIndex(text, -1)
			st := &python.State{Budget: python.NewBudget(t.Context(),
				python.Limits{Steps: 200_000, Memory: 8 << 20, Depth: 200})}
			signature := python.NewParamSpec("f", "find ignorecase?")
			bound, err := signature.Bind(python.Args{Positional: []any{pattern}})
			require.NoError(t, err)
			re, err := compilePattern(st, bound, 1, "", "")
			require.NoError(t, err)
			require.NotNil(t, re.behind, pattern)
			var got [][]int
			require.NoError(t, eachMatch(st, re, text, func(at []int) error {
				got = append(got, at)
				return nil
			}))
			assert.Equal(t, want, got, "%q in %q", pattern, text)
		}
	}
}
