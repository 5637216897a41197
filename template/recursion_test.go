package template

import (
	"context"
	"fmt"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// quietCollector turns the garbage collector off until the test ends, for renderStack: while it runs,
// the stacks of goroutines that have ended wait for it, and others take them without growing.
func quietCollector(t *testing.T) {
	t.Helper()
	percent := debug.SetGCPercent(-1)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
	runtime.GC() // when it returns, none runs
}

// renderStack renders a template and returns what the stack grew to, in bytes. Nothing else may run
// in the process meanwhile: see quietCollector.
func renderStack(t *testing.T, source string, data map[string]any, o Options) (uint64, error) {
	t.Helper()
	tpl, err := Compile(source, o)
	require.NotErrorIs(t, err, ErrInternal, "%.200s", source)
	if err != nil {
		return 0, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	// Not each time: it takes much longer than most renders.
	if before.HeapAlloc > mostBytes {
		runtime.GC()
		runtime.ReadMemStats(&before)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err = tpl.Render(context.WithoutCancel(t.Context()), data)
		runtime.ReadMemStats(&after)
	}()
	<-done
	require.NotErrorIs(t, err, ErrInternal, "%.200s", source)
	return after.StackInuse - min(before.StackInuse, after.StackInuse), err
}

// mostStack is what the stack of a render may grow to: half of mostBytes, and what else the process
// starts. Stacks double when they grow.
const mostStack = mostBytes/2 + 2<<20

// What hands out elements one by one cannot be asked for the next one while it looks for it: Python
// says "generator already executing". Without that, and without a limit of depth, the stack
// overflows, which ends the process.
func TestIteratorsAskThemselves(t *testing.T) {
	t.Parallel()
	tall := strings.Repeat("|e", 190)
	for _, ask := range []string{"NS.last", "NS.nextitem", "NS.length", "NS.revindex", "NS.revindex0",
		"NS ~ ''", "[NS]|string", "'%s' % NS", "'{}'.format(NS)", "NS|e", "NS|string|length"} {
		for _, above := range []string{"", tall} {
			source := "{% set ns = namespace(l={'last': true, 'nextitem': 1, 'length': 1, 'revindex': 1, 'revindex0': 1}) %}" +
				"{% for x in range(100000) if (" + strings.ReplaceAll(ask, "NS", "ns.l") + ")" + above +
				" %}{% set ns.l = loop %}{% endfor %}"
			_, err := render(t, source, nil, Options{})
			require.ErrorIs(t, err, ErrType, "%.200s", source)
		}
	}
	for source, want := range map[string]string{
		"{% set l = [] %}{% set g = l|map('list') %}{% set _ = l.append(g) %}{{ g|list }}":       "",
		"{% set l = [] %}{% set g = l|select('in', l) %}{% set _ = l.append(g) %}{{ g|list }}":   "ok",
		"{% set l = [] %}{% set g = l|map('join') %}{% set _ = l.append(g) %}{{ g|join }}":       "",
		"{% set l = [] %}{% set g = l|map('first') %}{% set _ = l.append(g) %}{{ g|first }}":     "",
		"{% set l = [] %}{% set g = l|map('sum') %}{% set _ = l.append(g) %}{{ g|unique|list }}": "",
	} {
		_, err := render(t, source, nil, Options{})
		if want == "" {
			require.ErrorIs(t, err, ErrType, source)
		} else {
			require.NoError(t, err, source)
		}
	}
	// What has ended stays so, as in Python.
	for source, want := range map[string]string{
		"{% set l = [1] %}{% set n = namespace() %}{% for x in l if x %}{% set n.l = loop %}{% endfor %}{% set _ = l.extend([2, 3, 4]) %}{{ n.l.last }} {{ n.l.length }}": "True 1",
		"{% set l = [1] %}{% set n = namespace() %}{% for x in l %}{% set n.l = loop %}{% endfor %}{% set _ = l.extend([2, 3, 4]) %}{{ n.l.last }}":                       "True",
		"{% set l = [1] %}{% set g = l|map('string') %}{{ g|list }}{% set _ = l.extend([2, 3, 4]) %}{{ g|list }}":                                                         "['1'][]",
	} {
		got, err := render(t, source, nil, Options{})
		require.NoError(t, err, source)
		assert.Equal(t, want, got, source)
	}
}

// Everything that has a name asks a loop, and a generator, for their elements while they look for
// one. It must not run while other tests do, as it looks at the stacks of the whole process.
func TestNothingRecursesWithoutALimit(t *testing.T) {
	quietCollector(t)
	g := newCostGenerator(t, *costSeed)
	v, w := regexp.MustCompile(`\bv\b`), regexp.MustCompile(`\bw\b`)
	o := Options{Library: g.library}
	check := func(source string) {
		stack, err := renderStack(t, source, nil, o)
		assert.LessOrEqual(t, stack, uint64(mostStack), "%.300s: %v", source, err)
	}
	for i, operation := range g.operations {
		if testing.Short() && i%32 != 0 {
			continue
		}
		expression := g.expression(operation)
		check("{% set l = [1] %}{% set v = l|map('list') %}{% set w = v %}{% set _ = l.append(v) %}" +
			"{% for i in [1] %}{% set x = " + expression + " %}{% endfor %}{{ v|list }}")
		test := strings.ReplaceAll(v.ReplaceAllString(expression, "ns.v"), "loop.", "ns.v.")
		test = "(" + w.ReplaceAllString(test, "ns.v.nextitem") + ")" + strings.Repeat("|d", 100)
		check("{% set ns = namespace(v=[1]) %}{% for y in range(9) if " + test + " is defined %}" +
			"{% set ns.v = loop %}{% endfor %}")
	}
	// A chain of loops, each of which asks the one before.
	var chain strings.Builder
	for range 150 {
		fmt.Fprintf(&chain, "{%% for x in [1, 2, 3] if n.on or n.l.last%s is defined %%}{%% set n.l = loop %%}",
			strings.Repeat("|d", 100))
	}
	check("{% set n = namespace(on=true, l=1) %}" + chain.String() + "{% set n.on = false %}{{ n.l.last }}" +
		strings.Repeat("{% endfor %}", 150))
}

// A macro may be called from the bottom of an expression: their depths are not multiplied.
func TestCallsInsideDeepExpressions(t *testing.T) {
	quietCollector(t)
	nested := [][2]string{{"dict(", ")"}, {"dict(a=", ")"}, {"dict(**{'a': ", "})"}, {"'a'.upper(", ")"},
		{"[", "]"}, {"[1][", ":]"}, {"{1: ", "}"}, {"'%s'|format(", ")"}, {"(", "|e)"}, {"(", "|d(1))"},
		{"(", " is defined)"}, {"1 is eq(", ")"}, {"(1 if 0 else ", ")"}, {"(1 ~ ", ")"}, {"not ", ""},
		{"(", ")()"}, {"namespace(a=", ")"}, {"(0 or ", ")"}, {"(1 < ", ")"}, {"r(", ")"}}
	for i, in := range nested {
		for j, tag := range []string{"{{ X }}", "{% set x = X %}", "{% for x in X %}{% endfor %}",
			"{% if X %}{% endif %}", "{% for x in [1] if X %}{% endfor %}", "{% with x = X %}{% endwith %}",
			"{% filter d(X) %}{% endfilter %}",
			"{% for x in [1] recursive %}{{ loop(X) }}{% endfor %}"} {
			if testing.Short() && (i%8 != 0 || j != 0) || !thorough() && i%2 != j%2 {
				continue
			}
			n := 190
			if strings.Contains(in[0], "{'") {
				n /= 2
			}
			x := strings.Repeat(in[0], n) + "r()" + strings.Repeat(in[1], n)
			source := "{% macro r() %}" + strings.Replace(tag, "X", x, 1) + "{% endmacro %}{{ r() }}"
			stack, err := renderStack(t, source, nil, Options{})
			assert.LessOrEqual(t, stack, uint64(mostStack), "%s in %s: %v", in[0], tag, err)
		}
	}
	got, err := render(t, "{% macro r(n) %}{{ (n ~ '')|e|upper|lower|trim|e|int ~ ((r(n - 1) if n)|d|e|trim|lower|e) }}{% endmacro %}{{ r(150)|length }}", nil, Options{})
	require.NoError(t, err)
	assert.Equal(t, "343", got)
}

// Printing a loop runs its test, which may change what is being printed.
func TestTestsOfLoopsChangeWhatIsPrinted(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	t.Parallel()
	l := library(t, LibraryConfig{Filters: map[string]Func{"same": {
		Call: func(_ context.Context, input any, _ []any) (any, error) { return input, nil }}}})
	for _, print := range []string{"{{ d }}", "{{ d|tojson }}", "{{ d|xmlattr }}", "{{ d|same }}", "{{ d|pprint }}",
		"{{ namespace(**d) }}", "{{ d|urlencode }}", "{{ d.items()|list }}", "{{ d|dictsort }}", "{{ d == d }}",
		"{{ d.values()|join }}", "{{ '%s' % d }}", "{{ d.copy() }}", "{{ dict(**d) }}", "{{ d|string|length }}"} {
		for _, change := range []string{"d.clear()", "d.pop('b', 1)", "d.update(x=1, y=2)"} {
			for _, in := range []string{"loop", "[loop]", "g"} {
				source := "{% set d = {'b': 1} %}{% for x in range(3) if " + change + " is defined %}" +
					"{% set g = d|map('string') %}{% set _ = d.update(l=" + in + ", z=1) %}" + print + "{% endfor %}"
				for _, o := range []Options{{Library: l}, {Library: l, Format: FormatHTML}} {
					_, err := render(t, source, nil, o)
					require.NotErrorIs(t, err, ErrInternal, source)
				}
				tpl, err := CompileJSON(strings.ReplaceAll(source, "{% endfor %}", ",{% endfor %}"), Options{Library: l})
				require.NoError(t, err)
				_, err = tpl.Render(t.Context(), nil)
				require.NotErrorIs(t, err, ErrInternal, source)
			}
		}
	}
	got, err := render(t, "{{ 1 in range(0, 4611686018427387904, 1152921504606846976)[::16777216] }}", nil,
		Options{})
	require.NoError(t, err)
	assert.Equal(t, "False", got)
}

// The format of a text may come from the data, which is in no message.
func TestErrorsOfFormatsHoldNoData(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"{0.SECRET:>5}", "{0.SECRET.SECRET}", "{0[SECRET].SECRET}", "{0.__SECRET__.x}",
		"{SECRET}", "{0!SECRET}", "{0:SECRET}", "%(SECRET)s", "{0.SECRET.a[b]}", "{0[SECRET]:>5}"} {
		for _, source := range []string{"{{ x.format(o) }}", "{{ x.format('a') }}", "{{ x.format_map(o) }}", "{{ x % o }}",
			"{{ x|format(a=o) }}", "{{ x|format(o) }}", "{{ ['a']|map(attribute=x)|first + 1 }}", "{{ o|attr(x) + 1 }}",
			"{{ o[x] + 1 }}", "{{ 'a'|map(x)|list }}", "{{ [o]|sort(attribute=x) }}", "{{ [o]|sum(attribute=x) }}"} {
			_, err := render(t, source, map[string]any{"x": format, "o": map[string]any{"k": "v"}}, Options{})
			if err != nil {
				assert.NotContains(t, err.Error(), "SECRET", source)
			}
		}
	}
}
