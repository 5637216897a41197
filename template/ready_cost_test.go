package template

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// readyAttacks are what a tenant would try with ready-made filters, with short operands too: what a
// call costs apart from its operands. It must be charged as well.
func readyAttacks() []string {
	rep := strings.Repeat
	loop := func(body string) string { return "{% for i in range(100000) %}" + body + "{% endfor %}" }
	many := func(expression string) string {
		return loop("{% set x = [" + rep(expression+", ", 40_000/(len(expression)+2)) + "] %}")
	}
	const wide = "[B-\U0001e942]" // a class that takes milliseconds where case is ignored
	return []string{
		// Classes of characters are parsed character by character where case is ignored.
		"{{ 'a'|regex_search('(?i)" + rep(wide, 120) + "') }}",
		"{{ 'a'|regex_search('" + rep(wide, 120) + "', true) }}",
		loop("{{ 'a'|regex_search(i ~ '" + wide + "', true) }}"),
		loop("{{ 'a'|regex_search('(?s-i:(?mi)' ~ i ~ '" + wide + ")') }}"),
		loop(`{{ 'a'|regex_search(i ~ '[\\x{41}-\\x{1e942}]', true) }}`),
		loop(`{{ 'a'|regex_search(i ~ '[` + rep(`\\pL`, 90) + `]') }}`),
		`{{ 'a'|regex_search('[` + rep(`\\pL`, 330) + `]') }}`,
		loop("{{ 'a'|regex_search(i ~ '[" + rep("[:word:]", 100) + "]', true) }}"),
		// Searches.
		"{{ ('a' * 20000)|regex_findall('^" + rep("(a*)", 200) + "b')|length }}",
		"{{ ('a' * 20000)|regex_replace('" + rep("(a*)", 250) + "b', 'x')|length }}",
		"{{ ('a' * 60000)|regex_search('" + rep("a?", 20) + "b') }}",
		`{{ ('a b ' * 30000)|regex_replace('\\b', 'x')|length }}`,
		`{{ ('a b ' * 30000)|regex_findall('\\b(?:.*z|)')|length }}`,
		"{{ ('ab\n' * 30000)|regex_findall('(?m)^.*$')|length }}",
		loop("{{ ''|regex_replace('', '" + rep(`\\n`, 5000) + "') }}"),
		loop("{{ 'aaaaaaaa'|regex_replace('', 'b') }}"), many("v|regex_findall"), many("''|regex_match"),
		// Dates, numbers and the rest.
		"{{ (['2025-10-08T16:09:00x'] * 60000)|map('as_datetime', 1)|list|length }}",
		many("'1_0'|as_timestamp(1)"),
		many("as_timestamp('2025-10-08 16:09:00.99999999999999999999999999999999999x', 1)"),
		many("now().isoformat()"),
		many("now().strftime('%c%U%V%j')"), many("now('America/Argentina/ComodRivadavia')"),
		many("1e300|filesizeformat"), many("'a'|hash('sha512')"), many("'x'|from_json(1)"),
		many("''|b64decode"), many("[now()]|string"),
		loop("{% set x = ''" + rep("|b64decode", 190) + " %}"),
		"{{ ('[' ~ '{\"\":{}},' * 32000 ~ '1]')|from_json|length }}",
	}
}

// TestReadyFiltersAreBounded must not run while other tests do, as it looks at the memory of the
// whole process.
func TestReadyFiltersAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	l := library(t, LibraryConfig{Ready: ReadyAll})
	var slowest slowestCosts
	for _, source := range attacks(readyAttacks()) {
		slowest.add(source, checkCost(t, source[:min(len(source), 120)], source, nil,
			Options{Library: l}))
	}
	slowest.log(t)
}

// Classes that people use are not refused, in whatever way case is ignored.
func TestUsualClassesOfCharacters(t *testing.T) {
	t.Parallel()
	l := library(t, LibraryConfig{Ready: ReadyRegex})
	for _, source := range []string{
		`{{ 'ab-9'|regex_match('(?i)[A-Z]+-[0-9a-f]+$') }}`,
		`{{ '漢字'|regex_match('[一-龥ぁ-んァ-ヶ]+$', true) }}`, `{{ '😀🚀'|regex_match('[😀-🙏🌀-🗿🚀-🛿☀-➿]+$') }}`,
		`{{ 'Éa'|regex_match('[\\p{Lu}\\p{Ll}\\d_.-]+$', true) }}`,
		`{{ 'ÿ'|regex_match('[\\xc0-\\xff\\x{100}-\\x{17f}]$', true) }}`,
	} {
		tpl, err := Compile(source, Options{Library: l})
		require.NoError(t, err)
		out, err := tpl.Render(t.Context(), nil)
		require.NoError(t, err, source)
		assert.Equal(t, "True", out, source)
	}
}
