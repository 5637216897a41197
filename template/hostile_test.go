package template

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostileTemplate is a template whose author wants the process to hang, to run out of memory or
// stack, to panic, to read a file, or to look where it should not.
type hostileTemplate struct {
	name   string
	source string
	kind   error // what it must end in
}

func repeated(s string, n int) string { return strings.Repeat(s, n) }

func hostileTemplates() []hostileTemplate {
	const huge = "2000000000"
	loopOf := func(body string) string { return "{% for i in range(100000) %}" + body + "{% endfor %}" }
	big := "{% set big = 'ab ' * 300000 %}"
	return []hostileTemplate{
		// Stack.
		{"macro recursion", "{% macro r(n) %}{{ r(n + 1) }}{% endmacro %}{{ r(0) }}", ErrTooDeep},
		{"mutual macro recursion",
			"{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
			ErrTooDeep},
		{"caller recursion",
			"{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}", ErrTooDeep},
		{"caller calls itself",
			"{% macro m() %}{{ caller() }}{% endmacro %}{% macro r() %}{% call m() %}{{ r() }}{% endcall %}{% endmacro %}{{ r() }}", ErrTooDeep},
		{"default argument recursion", "{% macro m(a=m()) %}{% endmacro %}{{ m() }}", ErrTooDeep},
		{"loop recursion", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", ErrTooDeep},
		{"recursion doubling", "{% macro r() %}{{ r() }}{{ r() }}{% endmacro %}{{ r() }}", ErrTooDeep},
		{"recursion tree",
			"{% macro r(n) %}{% if n %}{{ r(n - 1) }}{{ r(n - 1) }}{% endif %}{% endmacro %}{{ r(60) }}",
			ErrSteps},
		{"macro recursion through deep expressions",
			"{% macro r() %}" + repeated("{% if true %}", 60) + "{{ " + repeated("(",
				60) + "r()" + repeated("~1)", 60) + " }}" + repeated("{% endif %}",
				60) + "{% endmacro %}{{ r() }}", ErrTooDeep},
		{"parentheses", "{{ " + repeated("(", 20000) + "1" + repeated(")", 20000) + " }}", ErrTooDeep},
		{"brackets", "{{ " + repeated("[", 15000) + repeated("]", 15000) + " }}", ErrTooDeep},
		{"braces", "{{ " + repeated("{1:", 10000) + "1" + repeated("}", 10000) + " }}", ErrTooDeep},
		{"not", "{{ " + repeated("not ", 15000) + "1 }}", ErrTooDeep},
		{"signs", "{{ " + repeated("-", 30000) + "1 }}", ErrTooDeep},
		{"sum", "{{ 1" + repeated("+1", 30000) + " }}", ErrTooDeep},
		{"power", "{{ 1" + repeated("**1", 20000) + " }}", ErrTooDeep},
		{"filters", "{{ 1" + repeated("|e", 30000) + " }}", ErrTooDeep},
		{"tests", "{{ 1" + repeated(" is odd|e", 6000) + " }}", ErrTooDeep},
		{"attributes", "{{ a" + repeated(".b", 30000) + " }}", ErrTooDeep},
		{"calls", "{{ a" + repeated("()", 30000) + " }}", ErrTooDeep},
		{"else", "{{ 1" + repeated(" if 0 else 1", 5000) + " }}", ErrTooDeep},
		{"if", "{{ 1" + repeated(" if 1", 12000) + " }}", ErrTooDeep},
		{"unpacking", "{% set " + repeated("(", 30000) + "a" + repeated(")", 30000) + " = 1 %}",
			ErrTooDeep},
		{"blocks", repeated("{% if 1 %}", 3000) + repeated("{% endif %}", 3000), ErrTooDeep},
		{"for blocks", repeated("{% for i in [1] %}", 1500) + repeated("{% endfor %}", 1500), ErrTooDeep},
		{"nested list printed",
			"{% set ns = namespace(l=[]) %}{% for i in range(5000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}", ErrTooDeep},
		{"nested list as JSON",
			"{% set ns = namespace(l=[]) %}{% for i in range(5000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l|tojson }}", ErrTooDeep},
		{"nested lists compared",
			"{% set n = namespace(l=[], m=[]) %}{% for i in range(5000) %}{% set n.l = [n.l] %}{% set n.m = [n.m] %}{% endfor %}{{ n.l == n.m }}", ErrTooDeep},
		{"nested lists ordered",
			"{% set n = namespace(l=[1], m=[2]) %}{% for i in range(5000) %}{% set n.l = [n.l] %}{% set n.m = [n.m] %}{% endfor %}{{ n.l < n.m }}", ErrTooDeep},
		{"nested tuple as key",
			"{% set n = namespace(l=()) %}{% for i in range(5000) %}{% set n.l = (n.l,) %}{% endfor %}{{ {n.l: 1} }}", ErrTooDeep},
		{"list in itself", "{% set l = [] %}{% set _ = l.append(l) %}{{ l }}", ErrTooDeep},
		{"list in itself compared",
			"{% set l = [] %}{% set m = [] %}{% set _ = l.append(l) %}{% set _ = m.append(m) %}{{ l == m }}",
			ErrTooDeep},
		{"dict in itself", "{% set d = {} %}{% set _ = d.update(d=d) %}{{ d|tojson }}", ErrTooDeep},
		{"namespace in itself", "{% set n = namespace() %}{% set n.n = n %}{{ n }}", ErrTooDeep},
		{"generator of generators",
			"{% set ns = namespace(x=['a']) %}{% for i in range(9000) %}{% set ns.x = ns.x|map('e') %}{% endfor %}{{ ns.x|list }}", ErrTooDeep},
		{"selection of selections",
			"{% set ns = namespace(x=['a']) %}{% for i in range(9000) %}{% set ns.x = ns.x|select %}{% endfor %}{{ ns.x|first }}", ErrTooDeep},
		{"unique of unique",
			"{% set ns = namespace(x=['a']) %}{% for i in range(9000) %}{% set ns.x = ns.x|unique %}{% endfor %}{{ ns.x|first }}", ErrTooDeep},
		{"batches of batches",
			"{% set ns = namespace(x=['a']) %}{% for i in range(9000) %}{% set ns.x = ns.x|batch(1) %}{% endfor %}{{ ns.x|first }}", ErrTooDeep},
		{"generators in lists",
			"{% set ns = namespace(x=['a']) %}{% for i in range(9000) %}{% set ns.x = [ns.x]|map('first') %}{% endfor %}{{ ns.x|list }}", ErrTooDeep},
		{"generators in arguments",
			"{% set ns = namespace(x=['a']) %}{% for i in range(9000) %}{% set ns.x = ['a']|select('in', ns.x) %}{% endfor %}{{ ns.x|list }}", ErrTooDeep},
		{"generators in dicts",
			"{% set ns = namespace(x=['a']) %}{% for i in range(9000) %}{% set ns.x = [{'g': ns.x}]|map(attribute='g')|map('list') %}{% endfor %}{{ ns.x|list }}", ErrTooDeep},
		{"recursion through defaults of caller", "{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}",
			ErrTooDeep},
		{"recursion through a namespace",
			"{% set n = namespace() %}{% macro m() %}{{ n.m() }}{% endmacro %}{% set n.m = m %}{{ m() }}",
			ErrTooDeep},
		{"recursion in a loop's test",
			"{% macro m() %}{% for i in [1] if m() %}{% endfor %}{% endmacro %}{{ m() }}", ErrTooDeep},
		{"recursion in a filter block",
			"{% macro m() %}{% filter upper %}{{ m() }}{% endfilter %}{% endmacro %}{{ m() }}", ErrTooDeep},
		{"format in format", "{{ '{:{:{:{:{:}}}}}'.format(1, 2, 3, 4, 5) }}", ErrType},

		// Memory.
		{"doubling text",
			"{% set ns = namespace(x='xx') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", ErrMemory},
		{"doubling by addition",
			"{% set ns = namespace(x='xx') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", ErrMemory},
		{"doubling list",
			"{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", ErrSteps},
		{"doubling in place",
			"{% set x = [1] %}{% for i in range(60) %}{% set _ = x.extend(x) %}{% endfor %}", ErrSteps},
		{"doubling by replace",
			"{% set ns = namespace(x='xx') %}{% for i in range(60) %}{% set ns.x = ns.x|replace('x', 'xxx') %}{% endfor %}", ErrSteps},
		{"doubling by join",
			"{% set ns = namespace(x='xx') %}{% for i in range(60) %}{% set ns.x = ns.x|join(ns.x) %}{% endfor %}", ErrSteps},
		{"doubling by format",
			"{% set ns = namespace(x='xx') %}{% for i in range(60) %}{% set ns.x = '%s%s' % (ns.x, ns.x) %}{% endfor %}", ErrMemory},
		{"doubling by capture",
			"{% set ns = namespace(x='xx') %}{% for i in range(60) %}{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}{% endfor %}", ErrOutputTooLarge},
		{"doubling by escape",
			"{% set ns = namespace(x='&') %}{% for i in range(60) %}{% set ns.x = ns.x|forceescape|string|replace('a', '&&') %}{% endfor %}", ErrSteps},
		{"doubling by tojson",
			"{% set ns = namespace(x='<') %}{% for i in range(60) %}{% set ns.x = ns.x|tojson|tojson ~ '' %}{% endfor %}", ErrMemory},
		{"doubling repr",
			"{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}", ErrSteps},
		{"doubling JSON",
			"{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|tojson }}", ErrSteps},
		{"doubling equality",
			"{% set n = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}", ErrSteps},
		{"doubling hash",
			"{% set n = namespace(x=(1,)) %}{% for i in range(19) %}{% set n.x = (n.x, n.x) %}{% endfor %}{{ {n.x: 1} }}", ErrSteps},
		{"center", "{{ 'a'|center(" + huge + ") }}", ErrMemory},
		{"ljust", "{{ 'a'.ljust(" + huge + ") }}", ErrMemory},
		{"rjust", "{{ 'a'.rjust(" + huge + ", '☃') }}", ErrMemory},
		{"zfill", "{{ 'a'.zfill(" + huge + ") }}", ErrMemory},
		{"indent", "{{ 'a\nb'|indent(" + huge + ") }}", ErrMemory},
		{"indent of many lines", "{{ ('\n' * 10000)|indent(1000, true, true) }}", ErrMemory},
		{"expandtabs", "{{ 'a\t'.expandtabs(" + huge + ") }}", ErrMemory},
		{"repetition", "{{ 'a' * " + huge + " }}", ErrMemory},
		{"list repetition", "{{ [1] * " + huge + " }}", ErrMemory},
		{"tuple repetition", "{{ (1, 2) * 9223372036854775807 }}", ErrMemory},
		{"percent width", "{{ '%" + huge + "s' % 1 }}", ErrMemory},
		{"percent star", "{{ '%*d' % (2147483647, 1) }}", ErrMemory},
		{"percent precision", "{{ '%.2000000000d' % 1 }}", ErrMemory},
		{"format width", "{{ '{:" + huge + "}'.format(1) }}", ErrMemory},
		{"format width with separators", "{{ '{:0" + huge + ",}'.format(1) }}", ErrMemory},
		{"format width from argument", "{{ '{:{}}'.format(1, " + huge + ") }}", ErrMemory},
		{"format width beyond numbers", "{{ '{:99999999999999999999}'.format(1) }}", ErrType},
		{"tojson indent", "{{ [1]|tojson(indent=" + huge + ") }}", ErrMemory},
		{"tojson indent nested", "{{ [[[[[[1, 2]]]]]]|tojson(indent=1000000) }}", ErrMemory},
		{"wordwrap separator", "{{ ('a ' * 1000)|wordwrap(1, wrapstring='x' * 100000) }}", ErrMemory},
		{"join separator", "{{ range(10000)|join('x' * 100000) }}", ErrMemory},
		{"replace nothing", "{{ ('x' * 10000)|replace('', 'y' * 10000) }}", ErrMemory},
		{"batch fill", "{{ [1]|batch(" + huge + ", 'x')|list }}", ErrMemory},
		{"slice count", "{{ [1]|slice(" + huge + ")|list }}", ErrMemory},
		{"range", "{{ range(" + huge + ")|list }}", ErrRangeTooLarge},
		{"range of extremes", "{{ range(-9223372036854775807, 9223372036854775807)|list }}",
			ErrRangeTooLarge},
		{"many ranges", loopOf("{% set x = range(100000)|list %}"), ErrSteps},
		{"growing list", "{% set l = [1] %}{% for i in l %}{% set _ = l.append(i) %}{% endfor %}",
			ErrSteps},
		{"growing dict", "{% set d = {} %}" + loopOf("{% set _ = d.update({i: i}) %}"), ErrSteps},
		{"growing text", "{% set ns = namespace(x='') %}" + loopOf("{% set ns.x = ns.x ~ 'abcdefgh' %}"),
			ErrMemory},
		{"output", loopOf("0123456789abcdef"), ErrOutputTooLarge},
		{"output of a value", "{% set x = 'x' * 100000 %}" + loopOf("{{ x }}"), ErrOutputTooLarge},
		{"captured output", "{% set y %}" + loopOf("0123456789abcdef0123456789abcdef") + "{% endset %}",
			ErrOutputTooLarge},
		{"output in many macros", "{% macro m() %}" + repeated("x",
			10000) + "{% endmacro %}" + loopOf("{% set x = m() %}"), ErrMemory},

		// Time.
		{"nested loops", loopOf(loopOf(loopOf(""))), ErrSteps},
		{"nested loops in filters",
			loopOf("{% set x = range(100000)|map('string')|select('in', range(9))|first %}"), ErrSteps},
		{"sum of ranges", loopOf("{% set x = range(100000)|sum %}"), ErrSteps},
		{"sorting", "{% set l = range(100000)|list|reverse|list %}" + loopOf("{% set x = l|sort %}"),
			ErrSteps},
		{"length of a long text", big + loopOf("{% set x = big|length %}"), ErrSteps},
		{"search in a long text", big + loopOf("{% set x = 'x' in big %}"), ErrSteps},
		{"index in a long text", big + loopOf("{% set x = big[899999] %}"), ErrSteps},
		{"comparing long texts",
			big + "{% set other = 'ab ' * 300000 %}" + loopOf("{% set x = big == other %}"), ErrSteps},
		{"ordering long texts",
			big + "{% set other = 'ab ' * 300000 %}" + loopOf("{% set x = big < other %}"), ErrSteps},
		{"long text as a key", big + "{% set d = {big: 1} %}" + loopOf("{% set x = d[big] %}"), ErrSteps},
		{"words of a long text", big + loopOf("{% set x = big|wordcount %}"), ErrSteps},
		{"number in a long text", "{% set s = '1' * 900000 %}" + loopOf("{% set x = s|int %}"), ErrSteps},
		{"float in a long text", "{% set s = '1' * 900000 %}" + loopOf("{% set x = s|float %}"),
			ErrSteps},
		{"questions about a long text",
			"{% set s = 'a' * 900000 %}" + loopOf("{% set x = s.isalpha() %}"), ErrSteps},
		{"stripping a long text", "{% set s = ' ' * 900000 %}" + loopOf("{% set x = s.strip() %}"),
			ErrSteps},
		{"stripping many characters",
			"{% set s = 'a' * 900000 %}{% set c = 'b' * 900000 ~ 'a' %}{{ s.strip(c) }}" + loopOf(
				"{% set x = s.strip(c) %}"), ErrSteps},
		{"splitting a long text", big + loopOf("{% set x = big.split() %}"), ErrSteps},
		{"counting", big + loopOf("{% set x = big.count('a') %}"), ErrSteps},
		{"prefixes", "{% set t = ('x',) * 100000 %}" + loopOf("{% set x = 'a'.startswith(t) %}"),
			ErrSteps},
		{"links", "{% set s = '(' * 50000 %}" + loopOf("{% set x = s|urlize %}"), ErrSteps},
		{"links to and fro",
			"{% set s = 'http://a.b/' ~ '(' * 20000 ~ ')' * 20000 %}" + loopOf("{% set x = s|urlize %}"),
			ErrSteps},
		{"tags", "{% set s = '<' * 500000 %}" + loopOf("{% set x = s|striptags %}"), ErrSteps},
		{"wrapping", "{% set s = 'a-' * 100000 %}" + loopOf("{% set x = s|wordwrap(1) %}"), ErrSteps},
		{"insertion at the front", "{% set l = [1] * 100000 %}" + loopOf("{% set _ = l.insert(0, 1) %}"),
			ErrSteps},
		{"removal at the front", "{% set l = [1] * 100000 %}" + loopOf("{% set _ = l.pop(0) %}"),
			ErrSteps},
		{"membership in a list", "{% set l = [1] * 100000 %}" + loopOf("{% set x = 2 in l %}"), ErrSteps},
		{"spreading",
			"{% set l = [1] * 100000 %}{% macro m() %}{{ varargs }}{% endmacro %}" + loopOf(
				"{% set x = cycler(*l) %}"), ErrSteps},
		{"many arguments", "{% macro m(" + repeated("a,",
			0) + "a) %}{% endmacro %}" + loopOf("{% set x = m(1) %}"), ErrSteps},
		{"large literals", loopOf("{% set x = [" + repeated("1,", 20000) + "] %}"), ErrSteps},
		{"large expressions", loopOf("{% set x = 1" + repeated("and 1 ", 10000) + " %}"), ErrSteps},
		{"pop of a large dict",
			"{% set d = dict(range(5000)|map('string')|map('list')|map('join')|batch(1)|map('first')|batch(2)|list) %}" + loopOf("{% set _ = d.setdefault(i, 1) %}{% set _ = d.pop(i) %}"), ErrSteps},
		{"unending strings", repeated("{{ '", 10000), ErrSyntax},
		{"unending comments", repeated("{#", 30000), ErrSyntax},
		{"unending raw", repeated("{% raw %}", 7000), ErrSyntax},
		{"unending tags", repeated("{% if ", 10000), ErrSyntax},

		// Panics elsewhere.
		{"integer division", "{{ 1 // 0 }}", ErrArithmetic},
		{"integer remainder", "{{ 1 % 0 }}", ErrArithmetic},
		{"smallest integer divided", "{{ (-9223372036854775807 - 1) // -1 }}", ErrArithmetic},
		{"smallest integer negated", "{{ -(-9223372036854775807 - 1) }}", ErrArithmetic},
		{"integer overflow", "{{ 9223372036854775807 + 1 }}", ErrArithmetic},
		{"integer product", "{{ 9223372036854775807 * 9223372036854775807 }}", ErrArithmetic},
		{"integer power", "{{ 9 ** 9 ** 9 }}", ErrArithmetic},
		{"float power", "{{ 9.0 ** 9 ** 9 ** 9 }}", ErrArithmetic},
		{"infinite to int", "{{ 'inf'|float|int }}", ErrArithmetic},
		{"list as a key", "{{ {[]: 1} }}", ErrType},
		{"cycle without items", "{% for i in [1] %}{{ loop.cycle() }}{% endfor %}", ErrType},
		{"cycler without items", "{{ cycler() }}", ErrType},
		{"loop assigned", "{% for loop in [1] %}{% endfor %}", ErrSyntax},
		{"sorting what has no order", "{{ [1, 'a', none]|sort }}", ErrType},
		{"step of zero", "{{ [1][::0] }}", ErrType},
		{"end of pongo2's input", "\x01{{ 1 // 0 }}", ErrArithmetic},
		{"pongo2's tags", "{% ssi '/etc/passwd' %}", ErrUnknown},
		{"pongo2's comment", "{% comment %}x{% endcomment y %}", ErrUnknown},
		{"our tags from outside", `{% mixpeek_webhooks_jinja_expression "1:1:0:9:MQ==" %}`, ErrUnknown},
		{"pongo2's verbatim", "{% verbatim %}{{ 1 }}{% endverbatim %}", ErrUnknown},

		// Reaching out.
		{"include", "{% include '/etc/passwd' %}", ErrForbidden},
		{"import", "{% import 'os' as os %}", ErrForbidden},
		{"from", "{% from 'os' import system %}", ErrForbidden},
		{"extends", "{% extends '/etc/passwd' %}", ErrForbidden},
		{"class", "{{ ''.__class__.__mro__ }}", ErrForbidden},
		{"class by item", "{{ ''['__class__'].x }}", ErrForbidden},
		{"class in a format", "{{ '{0.__class__.__init__}'.format(1) }}", ErrForbidden},
		{"globals", "{{ range.__globals__.x }}", ErrForbidden},
		{"changing the data", "{% set _ = event.append(1) %}", ErrForbidden},
		{"changing the data's objects", "{% set _ = object.update(a=1) %}", ErrForbidden},
	}
}

// TestHostile must not run while other tests do: it looks at the memory of the whole process.
func TestHostile(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	data := func() map[string]any {
		return map[string]any{"event": []any{1, 2}, "object": map[string]any{"k": "v"}}
	}
	for _, h := range hostileTemplates() {
		t.Run(h.name, func(t *testing.T) {
			given := data()
			c := bestCost(t, h.name, func(context.Context) error {
				_, err := Compile(h.source, Options{})
				return err
			})
			if c.err == nil {
				c = checkCost(t, h.name, h.source, given, Options{})
			}
			err := c.err
			require.Error(t, err)
			assert.ErrorIs(t, err, h.kind)
			var e *Error
			require.ErrorAs(t, err, &e)
			assert.Less(t, len(err.Error()), 300)
			assert.Equal(t, data(), given)
			t.Logf("%v of CPU, %d KiB: %v", c.cpu, c.bytes>>10, err)
		})
	}
}

func TestSourceTooLarge(t *testing.T) {
	t.Parallel()
	_, err := Compile(repeated("x", 64<<10), Options{})
	require.NoError(t, err)
	_, err = Compile(repeated("x", 64<<10+1), Options{})
	require.ErrorIs(t, err, ErrSourceTooLarge)
	_, err = CompileObject([]byte(`["`+repeated("x", 64<<10)+`"]`), Options{})
	require.ErrorIs(t, err, ErrSourceTooLarge)
}

func TestContextEndsRender(t *testing.T) {
	t.Parallel()
	tpl, err := Compile("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
		Options{Limits: Limits{Steps: 1 << 40}})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = tpl.Render(ctx, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.True(t, e.Retryable())

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = tpl.Render(canceled, nil)
	require.ErrorIs(t, err, context.Canceled)

	_, err = render(t, "{{ 1 // 0 }}", nil, Options{})
	require.ErrorAs(t, err, &e)
	assert.False(t, e.Retryable())
}
