package template

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// compileSources fill the source that is allowed with what is expensive to compile.
func compileSources() map[string]string {
	const room = 64 << 10
	fill := func(begin, unit, end string) string {
		return begin + strings.Repeat(unit, (room-len(begin)-len(end))/len(unit)) + end
	}
	named := func(begin, format, end string) string {
		var b strings.Builder
		b.WriteString(begin)
		for i := 0; ; i++ {
			unit := fmt.Sprintf(format, i)
			if b.Len()+len(unit)+len(end) > room {
				return b.String() + end
			}
			b.WriteString(unit)
		}
	}
	return map[string]string{
		"tags":                 fill("", "{{x}}", ""),
		"tags and text":        fill("", "{{x}}y", ""),
		"constants":            fill("{{ [", "1,", "] }}"),
		"texts":                fill("{{ [", "'',", "] }}"),
		"texts side by side":   fill("{{ ", "''", " }}"),
		"names":                fill("{{ [", "a,", "] }}"),
		"pairs":                fill("{{ {", "1:1,", "} }}"),
		"keyword arguments":    named("{{ dict(", "a%x=1,", ") }}"),
		"parameters":           named("{% macro m(", "a%x,", ") %}{% endmacro %}"),
		"parameters' defaults": named("{% macro m(", "a%x=1,", ") %}{% endmacro %}"),
		"targets":              fill("{% set ", "a,", " = 1 %}"),
		"with":                 named("{% with ", "a%x=1,", "b=1 %}{% endwith %}"),
		"blocks":               named("", "{%%block b%x%%}{%%endblock%%}", ""),
		"sets":                 fill("", "{%set a=1%}", ""),
		"empty sets":           fill("", "{%set a%}{%endset%}", ""),
		"ifs":                  fill("", "{%if 1%}{%endif%}", ""),
		"elifs":                fill("{%if 1%}", "{%elif 1%}", "{%endif%}"),
		"nested ifs": strings.Repeat("{%if 1%}", 199) + fill("", "{{x}}",
			"")[:60_000] + strings.Repeat("{%endif%}", 199),
		"macros":           named("", "{%%macro m%x()%%}{%%endmacro%%}", ""),
		"comments":         fill("", "{##}a", ""),
		"raw":              fill("", "{%raw%}a{%endraw%}", ""),
		"open braces":      fill("{{ 1 }}", "{ ", ""),
		"text":             fill("", "x", ""),
		"or":               fill("{{ 1", " or 1", " }}"),
		"sums":             fill("{{ [", "1+1,", "] }}"),
		"tilde":            fill("{{ ''", "~''", " }}"),
		"comparisons":      fill("{{ 1", "<1", " }}"),
		"filters":          fill("{{ [", "1|e,", "] }}"),
		"filter arguments": fill("{{ [", "1|d(1),", "] }}"),
		"tests":            fill("{{ [", "1 is odd,", "] }}"),
		"calls":            fill("{{ [", "a(),", "] }}"),
		"slices":           fill("{{ [", "a[::],", "] }}"),
		"spaces":           fill("{{ 1", " ", "}}"),
		"lines":            fill("{{ 1", "\n", "}}"),
		"escapes":          fill("{{ '", `\n`, "' }}"),
		"lone minus":       fill("{{ 1 }}", "{%- if 1 -%}\n{%- endif -%}\n", ""),
		"raw that goes on": fill("{% raw %}", "{% ", "{% endraw %}"),
		"long name":        fill("{{ ", "a", " }}"),
		"long filter":      fill("{{ 1|", "a", " }}"),
		"long tag":         fill("{% ", "a", " %}"),
		"unknown":          fill("", "{%x%}", ""),
		"unclosed":         fill("", "{{'", ""),
		"numbers":          fill("{{ [", "1e9,", "] }}"),
		"calls of filters": fill("{% filter upper %}", "{% filter e %}{% endfilter %}",
			"{% endfilter %}"),
		"parentheses":   fill("{{ [", "((((((1)))))),", "] }}"),
		"spread":        fill("{{ [", "a(*b,**c),", "] }}"),
		"dotted":        fill("{{ [", "a.b,", "] }}"),
		"call blocks":   fill("", "{%call a()%}{%endcall%}", ""),
		"print":         fill("{% print 1", ",1", " %}"),
		"Windows lines": fill("", "\r\n", ""),
	}
}

// TestCompilingObjectsIsBounded is TestCompilingIsBounded for object templates: many leaves, good
// and bad.
func TestCompilingObjectsIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const room = 64 << 10
	fill := func(begin, format, end string) string {
		var b strings.Builder
		b.WriteString(begin)
		for i := 0; b.Len() < room-100; i++ {
			b.WriteString(strings.ReplaceAll(format, "#", strconv.Itoa(i)))
		}
		return b.String() + end
	}
	var slowest slowestCosts
	for _, source := range []string{
		fill("[", `"{{x}}",`, "1]"), fill("[", `"{{",`, "1]"), fill("[", `"a{{x}}",`, "1]"),
		fill("[", `"{{x|nope}}",`, "1]"), fill("{", `"#":"{{1}}y",`, `"x":1}`),
		fill("{", `"#":{"#":"{{ 1 }}"},`, `"x":1}`),
		strings.Repeat(`{"a":`, 150) + fill("[", `"{{",`, "1]") + strings.Repeat("}", 150),
		fill("[", "1,", "1]"),
		fill("[", `"",`, "1]"), fill("[", `"{%if 1%}x{%endif%}",`, "1]"), fill("[", `"{% x %}",`, "1]"),
		fill("[", "[", ""), fill(`["`, `\u007b{x}}`, `"]`),
	} {
		name := source[:min(len(source), 60)]
		c := bestCost(t, name, func(context.Context) error {
			_, err := CompileObject([]byte(source), Options{})
			return err
		})
		if o, err := CompileObject([]byte(source), Options{}); err == nil {
			slowest.add(name, bestCost(t, name, func(ctx context.Context) error {
				_, err := o.Render(ctx, nil)
				return err
			}))
		}
		slowest.add(name, c)
		t.Logf("%s: %v of CPU, %d MiB: %.200v", name, c.cpu, c.bytes>>20, c.err)
	}
	slowest.log(t)
}

// TestCompilingIsBounded measures compiling, and rendering what compiles, with sources that fill
// what is allowed. It must not run while other tests do.
func TestCompilingIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	var slowest slowestCosts
	sources := compileSources()
	for _, name := range attacks(slices.Sorted(maps.Keys(sources))) {
		source := sources[name]
		c := bestCost(t, name, func(context.Context) error {
			_, err := Compile(source, Options{})
			return err
		})
		slowest.add(name, c)
		slowest.add(name, checkCost(t, name, source, nil, Options{}))
		t.Logf("%s: %v of CPU, %d MiB: %v", name, c.cpu, c.bytes>>20, c.err)
	}
	slowest.log(t)
}
