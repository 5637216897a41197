package template

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tenantExpressions are what a tenant would try who has read the source. data is that of costData.
func tenantExpressions() []string {
	names := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(format, "#", fmt.Sprintf("n%04d", i)))
		}
		return b.String()
	}
	long := strings.Repeat("x", 20_000)
	return []string{
		// Names and look-ups.
		"data." + long, "data['" + long + "'] is defined", "nothing" + long,
		"data|attr('" + long + "') is defined", "data.object['" + long + "'] is defined",
		"data.missing is defined", "data['missing'] is defined", "data.texts.missing is defined",
		"'a'.missing is defined", "(1).missing is defined", "data.object.keys()|first",
		"data.object.get('" + long + "')", "'" + long + "' in data.object",
		"{" + names(3000, "'#':1,") + "}.n2999",
		"{" + names(7, "'#"+strings.Repeat("k", 2000)+"':1,") + "}['x']",
		"dict(" + names(3000, "#=1,") + ").n2999", "namespace(" + names(2000, "#=1,") + ").n1999",
		"{('a' * 100000, 1): 1}[('a' * 100000, 1)]", "{((1, 2), ((3, 4), 5)): 1}",
		"'{n0000}{n2999}'.format(" + names(3000, "#=1,") + ")",
		"('{n2999}' * 2000).format(" + names(3000, "#=1,") + ")", "('%(a)s' * 10000) % {'a': 1}",
		"('%(' ~ 'a' * 10000 ~ ')s') % {'a' * 10000: 1}",
		"data.texts|map(attribute='a.' * 20000)|list|length", "data.texts|sort(attribute='a,' * 20000)",
		"data.texts|map('" + long + "')|list",
		"'a' is " + "filter", "('upper' * 10000) is filter", "('upper' * 10000) is test",
		"('{0' ~ '.a' * 10000 ~ '}').format(namespace())", "('{0' ~ '[a]' * 10000 ~ '}').format(data)",
		// Numbers.
		"data.bigs|sort|first", "data.bigs|unique|list|length", "data.bigs|max",
		"data.bigs[0] in data.bigs", "data.bigs == data.bigs", "data.bigs|sum", "data.bigs[0] + 1",
		"data.bigs[0] ** 2",
		"data.bigs[0] < data.bigs[1] < data.bigs[2]", "data.floats|sort|first", "data.floats|sum",
		"data.floats|map('round', 300)|list|length", "1.7e308|round(400)", "(2.5 ** 63.5) ** -0.5",
		"9.7 ** 63", "'%.1000e' % 1.7e308", "'%.1000f' % 1e-300", "'{:.999}'.format(1e300)",
		"'{:_}'.format(9223372036854775807)", "('1' * 100000)|int", "('1' * 100000)|float",
		"('1_' * 50000 ~ '1')|int",
		"('0x' ~ 'f' * 100000)|int(base=16)", "('9' * 390)|int", "data.long", "data.long|string",
		"data.long > 1", "data.numbers|sum", "data.counts|dictsort|first", "data.strings|last",
		"data.strings|join|length",
		// Text.
		"('a' * 50000 ~ 'b') in ('a' * 1000000)", "('ab' * 500000).count('ab')",
		"('ab' * 500000).count('')", "('ab' * 500000)|replace('ab', '')|length",
		"('ab' * 5000)|replace('', 'c')|length", "('a' * 33 ~ 'b') in ('a' * 500000)",
		"('a' * 500000).rfind('a' * 70 ~ 'b')", "('a' * 500000).find('b' ~ 'a' * 70)",
		"('ß ' * 100000)|title|length", "('ǆ-' * 100000)|title|length", "('ΑΣ' * 100000).lower()|length",
		"('ΑΣ ' * 100000)|capitalize|length",
		"('ŉ' * 100000).upper()|length", "('İ' * 100000).casefold()|length",
		"('aß' * 100000).swapcase()|length", "('ß' * 100000).title()|length",
		"('ß ' * 100000).title()|length", "('a' * 300000).strip('a')|length",
		"(' ' * 300000).split()|length", "('a b' * 100000).rsplit(none, 3)|length",
		"('a,b' * 100000).rsplit(',')|length", "('\\r\\n' * 100000).splitlines(true)|length",
		"('a' * 500000)[::-1]|length", "('ä' * 200000)[199999]",
		"('a-1' * 100000)|wordwrap(1073741824)|length", "('-' * 300000)|wordwrap(3)|length",
		"('a--b' * 50000)|wordwrap(2, false)|length", "('ab-cd-' * 50000)|wordwrap(10)|length",
		"(' ' * 300000 ~ 'a')|wordwrap(1)|length",
		"('a ' * 50000)|wordwrap(1, wrapstring='x' * 1000)|length",
		"('a\\n' * 100000)|indent(1000, true, true)|length", "('\\t' * 10000).expandtabs(1000)|length",
		"('<' * 500000)|striptags|length", "('<!--' * 100000)|striptags|length",
		"('<!-- -->' * 60000)|striptags|length", "('&#x41;' * 60000)|striptags|length",
		"('&notit' * 80000)|striptags|length", "('a \\n' * 100000)|striptags|length",
		"('a@b.c ' * 50000)|urlize|length",
		"('http://' ~ 'a.' * 100000)|urlize|length",
		"('(' * 50000 ~ 'http://a.b' ~ ')' * 50000)|urlize|length",
		"('&lt;' * 50000 ~ 'a.b' ~ '&gt;' * 50000)|urlize|length",
		"('a:b ' * 20000)|urlize(extra_schemes=['a:'] * 20000)|length",
		"'a.com'|urlize(rel='a ' * 200000)|length", "'a.com a.com'|urlize(target='<' * 200000)|length",
		"('xn--' ~ 'a' * 100000 ~ '.com')|urlize|length", "('a' * 63 ~ '.') * 1000 ~ 'com'",
		"(('a' * 63 ~ '.') * 1000 ~ 'com')|urlize|length",
		"('é' * 200000)|urlencode|length", "data.object|urlencode|length", "data.object|xmlattr|length",
		"('\"' * 300000)|tojson|length", "('\\\\' * 300000)|tojson|tojson|length",
		"('😀' * 100000)|tojson|length", "('\\x00' * 200000)|pprint|length",
		"('😀' * 100000)|pprint|length", "('a' * 500000)|truncate(400000)|length",
		"('a' * 1000)|center(1000000)|length", "('word ' * 100000)|wordcount",
		"(('a' * 100000,) * 30)|join('b' * 100000)|length",
		// Collections.
		"[[[[[[1]]]]]]|tojson(indent=100000)|length", "data.deep|string|length",
		"data.deep|tojson|length", "data.deep == data.deep", "[data.deep] * 1000 == [data.deep] * 1000",
		"data.wide == data.wide", "data.wide|list == data.wide",
		"data.object == data.object", "data.object|dictsort|length", "data.object.items()|list|length",
		"data.object|length", "data|string|length", "data.texts|groupby('a')|length",
		"data.texts|unique|list|length", "data.texts|sort|first",
		"data.texts|batch(1)|list|length", "data.texts|slice(40000)|list|length",
		"data.texts|map('upper')|map('lower')|map('title')|list|length",
		"range(100000)|batch(100000, 'x')|list|length", "range(100000)|slice(99999, 'x')|list|length",
		"range(50000)|list|sort(reverse=true)|first", "(range(50000)|list)[::-1]|sort|first",
		"([1, 'a'] * 1000)|sort", "dict(data.texts|batch(2))|length", "range(100000)|random",
		"(1, 2, 3) * 60000 < (1, 2, 3) * 60000", "([1] * 50000).index(2)",
		"([1] * 50000).count(1)", "[data.texts] * 100|string|length",
		"([data.texts] * 100)|tojson|length", "([data.texts] * 100)|sum(start=[])|length",
		"cycler(*range(50000)).next()", "dict(**dict(data.texts|batch(2)))|length",
		"joiner('a' * 100000)()",
		"range(100000)|map('string')|join|length", "range(100000)|select('divisibleby', 3)|list|length",
		"range(100000)|select('in', range(100000)|list)|first",
		"data.texts|select('in', data.texts)|list|length",
		"range(1000)" + strings.Repeat("|list", 150) + "|length",
		"data.texts" + strings.Repeat("|select", 150) + "|list|length",
		"''" + strings.Repeat("|replace('', 'ab')", 150),
		"'ab'" + strings.Repeat("|e|string|forceescape", 60),
	}
}

// tenantPrograms are templates that need more than an expression.
func tenantPrograms() []string {
	deepWith := strings.Repeat("{% with aaa=1, aab=1, aac=1, aad=1, aae=1, aaf=1, aag=1 %}", 190)
	endWith := strings.Repeat("{% endwith %}", 190)
	lot := strings.Repeat
	loop := func(body string) string { return "{% for i in range(100000) %}" + body + "{% endfor %}" }
	return []string{
		deepWith + loop("{{ aah }}{{ data.wide.x }}") + endWith,
		deepWith + loop("{% set x = aaa %}") + endWith,
		loop(lot("{% for a in [1, 2] %}", 100) + "x" + lot("{% endfor %}", 100)),
		"{% macro m(" + lot("",
			1) + "a, b=1, c=2) %}{{ kwargs }}{{ varargs }}{% endmacro %}" + loop(
			"{{ m(1, *data.wide, **data.counts) }}"),
		"{% macro m() %}{{ caller(1) }}{% endmacro %}" + loop("{% call(x) m() %}{{ x }}{% endcall %}"),
		"{% macro m() %}{% set x = 1 %}{% macro n() %}{{ x }}{% endmacro %}{{ n() }}{% endmacro %}" + loop("{{ m() }}"), "{% for x in data.texts recursive %}{{ loop(data.texts) }}{% endfor %}", "{% for x in [[1, 2]] * 1000 recursive %}{{ loop(x) if x is not number }}{% endfor %}",
		"{% for x in data.wide %}{% for y in data.wide %}{{ loop.length }}{% endfor %}{% endfor %}",
		loop("{{ loop.length }}{{ loop.last }}{{ loop.nextitem }}"),
		loop("{% set a, b, c = data.texts %}"), loop("{% for k, v in data.object.items() %}{% endfor %}"),
		loop("{% for k in data.object %}{{ k }}{% endfor %}"),
		"{% set l = [1] * 200000 %}" + loop("{% set _ = l.remove(1) %}"),
		"{% set l = [1] * 200000 %}" + loop("{% set _ = l.insert(0, 1) %}"),
		"{% set l = [1] * 200000 %}" + loop("{% set _ = l.reverse() %}"),
		"{% set d = dict(range(20000)|batch(2)) %}" + loop("{% set _ = d.pop(i * 2) %}"),
		"{% set d = dict(range(20000)|batch(2)) %}" + loop("{% set _ = d.popitem() %}{{ d[1] }}"),
		"{% set d = {} %}" + loop("{% set _ = d.update({(i, 'a' * 1000): i}) %}"),
		"{% set d = {} %}" + loop("{% set _ = d.setdefault(i ~ 'x' * 100, []).append(i) %}"),
		"{% set ns = namespace(x='a') %}" + loop("{% set ns.x = ns.x ~ 'a' %}"),
		"{% set ns = namespace(x=[]) %}" + loop("{% set ns.x = [ns.x, ns.x] %}"),
		"{% set ns = namespace(n=none) %}{% set ns.n = ns %}{{ ns" + lot(".n", 150) + " }}",
		loop("{{ '" + lot("x", 20_000) + "'|e }}"),
		loop("{% set x %}" + lot("y", 50_000) + "{% endset %}"),
		loop("{% filter upper %}{% endfilter %}"), loop(lot("{##}", 5000)),
		loop("{% if false %}" + lot("{% elif false %}", 3000) + "{% endif %}"),
		loop("{% if true %}{% endif %}"),
		loop(lot("x{{ '' }}", 4000)), loop("{% set " + lot("a, ", 3000) + "b = data.wide %}"),
		loop("{% print " + lot("1, ", 3000) + "1 %}"), loop("{{ [" + lot("1,", 10_000) + "]|length }}"),
		loop("{{ {" + lot("1:1,", 8_000) + "}|length }}"), loop("{{ 1" + lot(" or 1", 8_000) + " }}"),
		loop("{{ 1" + lot(" < 2", 8_000) + " }}"), loop("{{ 0" + lot(" or 0", 8_000) + " }}"),
		loop("{% autoescape true %}{{ '<' * 1000 }}{% endautoescape %}"),
		loop("{% with a=data.texts|list %}{% endwith %}"),
		"{% set x = namespace() %}" + lot("{% set x.a = 1 %}", 3000),
		loop("{% set x | e | upper | title %}{{ i }}{% endset %}"),
		"{% macro r(n) %}{% if n %}{{ r(n - 1) }}{{ r(n - 1) }}{% endif %}{% endmacro %}{{ r(90) }}",
		"{% macro r(n) %}{% set a = 'x' * 100000 %}{{ a|length }}{{ r(n - 1) if n }}{% endmacro %}{{ r(90) }}", "{% macro r(n, l) %}{{ r(n - 1, l ~ l) if n else l }}{% endmacro %}{{ r(60, 'x') }}",
		"{% for i in data.texts if i in data.texts %}{% endfor %}",
		"{% for i in range(100000) if i > 99999 %}{% endfor %}",
		"{% for a in range(300) %}{% for b in range(300) %}{% for c in range(300) %}{{ c }}{% endfor %}{% endfor %}{% endfor %}",
		loop("{{ data.strings[0] }}"), loop("{{ data.counts['1'] }}"), loop("{{ data.strings|length }}"),
		loop("{{ data.counts|length }}"), loop("{{ data.long }}"), loop("```\n{{ data.texts }}\n"),
		loop("`{{ '`' * 100 }}"), "```\n" + loop("{{ '\\n```' * 1000 }}"),
		loop("{% block a %}{{ i }}{% endblock %}"),
	}
}

// TestTenantsAreBounded must not run while other tests do, as it looks at the memory of the whole
// process.
func TestTenantsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	data := costData()
	var slowest slowestCosts
	formats := costFormats()
	for i, expression := range tenantExpressions() {
		for j, source := range []string{"{{ " + expression + " }}",
			"{% for i in range(100000) %}{% set x = " + expression + " %}{% endfor %}"} {
			if !thorough() && i%2 != j {
				continue
			}
			slowest.add(source, checkCost(t, source, source, data, formats[i%len(formats)]))
		}
	}
	for i, source := range attacks(tenantPrograms()) {
		slowest.add(source, checkCost(t, source, source, data, formats[i%len(formats)]))
	}
	slowest.log(t)
}

// TestTenantsOfJSONAreBounded is TestTenantsAreBounded for templates whose result is JSON.
func TestTenantsOfJSONAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	data := costData()
	loop := func(body string) string { return "{% for i in range(100000) %}" + body + "{% endfor %}" }
	escapes := strings.Repeat(`\u00e9\n`, 3000)
	var slowest slowestCosts
	for _, source := range []string{
		"[" + loop("{{ data.texts[0] }},") + "1]", `"` + loop("{{ data.texts[0] }}") + `"`,
		"[{{ data.texts }}]", "[{{ data.texts|string }}]", `"{{ data.texts }}"`, "{{ data }}",
		"{{ data|tojson }}", `"{{ data|tojson }}"`, "{{ '\"' * 300000 }}",
		`"{{ '"' * 300000 }}"`, `"{{ '<' * 200000 }}"`, "{{ ('<' * 200000)|tojson }}",
		loop(`{% set x %}"` + escapes + `"{% endset %}`), loop("{% set x %}[1, 2, 3]{% endset %}"),
		`{% macro m(n) %}["{{ n }}", {{ m(n - 1) if n else 1 }}]{% endmacro %}{{ m(150) }}`,
		`{% macro m(n) %}[{% set x %}{{ '"' * 1000 }}{% endset %}{{ x }}{{ m(n - 1) if n else 1 }}]{% endmacro %}{{ m(150) }}`, `{"url": {{ ('&lt;' * 100000)|tojson }}}`, `{"url": "{{ ('&lt;' * 100000)|tojson }}"}`, `{"text": {{ data.texts }}}`,
		loop(`"{{ i }}" `), "{{ [[[[1]]]] }}" + loop(" "),
		`{% filter upper %}` + loop(`"a"`) + `{% endfilter %}`,
		"[" + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "]",
		"[" + strings.Repeat(`"{{ data.texts }}",`, 1000) + "1]",
		loop("{% set x %}" + strings.Repeat("1,", 10_000) + "1{% endset %}"),
		`{% set x %}"` + strings.Repeat("a", 50_000) + `"{% endset %}` + loop("{{ x }},"),
		strings.Repeat("{% set x %}{{ x }}1{% endset %}", 1500) + "{{ x }}",
	} {
		for _, format := range []Format{FormatPlain, FormatMrkdwn} {
			tpl, err := CompileJSON(source, Options{Format: format})
			require.NoError(t, err, "%.200s", source)
			slowest.add(source, bestCost(t, source[:min(len(source), 300)], func(ctx context.Context) error {
				_, err := tpl.Render(ctx, data)
				return err
			}))
		}
	}
	slowest.log(t)
}
