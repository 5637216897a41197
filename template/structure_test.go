package template

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	markdownhtml "github.com/yuin/goldmark/renderer/html"
	"golang.org/x/net/html"

	"github.com/mixpeek/webhooks-go/template/internal/eval"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// The tests of this file apply everything that has a name, and every operator and block, to hostile
// values, and put what comes of it into every place of every format. Whatever the value is, the
// result must have the structure that it has with a harmless one. Names come from the tables that
// templates use, so that a new one is tested without further ado.

// hostileValues try to become a part of the structure, as they are or once something has decoded or
// cut them.
func hostileValues() []string {
	return []string{
		`<img src=x onerror=alert(1)>`, `"><script>alert(1)</script>`, `' onmouseover='alert(1)`,
		` onmouseover=alert(1) y`, `x" onmouseover="alert(1)`, `javascript:alert(1)`, " java\tscript:alert(1)",
		`img src=x onerror=alert(1)`, `a href=https://evil.example`, `script`, `/p`, `!--`, `?x`,
		`%3Cscript%3Ealert(1)%3C/script%3E`, `PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==`,
		`&lt;script&gt;alert(1)&lt;/script&gt;`, `"\u003cscript\u003e"`, "# a\n\n<b>*b*</b> [c](http://d.e)",
		"```\n<b>", `"},{"evil":1,"b":"`, `1},{"evil":2`, `{"evil":3}`, `1,2`, "\n" + `","evil":"`, `\`, `","evil":[{"`,
		`<!channel> <https://evil.example|bank>`, ",", `"`, "true", "a", "",
	}
}

// A structureGenerator writes expressions of x, a hostile text.
type structureGenerator struct {
	env     *eval.Environment
	library *Library
	seen    int // combinations
}

func newStructureGenerator(t *testing.T) *structureGenerator {
	own := func(_ context.Context, input any, args []any) (any, error) {
		if len(args) > 0 && args[0] != nil {
			return args[0], nil
		}
		return input, nil
	}
	l := library(t, LibraryConfig{Ready: ReadyAll,
		Filters:   map[string]Func{"own": {Params: "other?", Call: own}},
		Functions: map[string]Func{"ours": {Params: "other?", Call: own}}})
	return &structureGenerator{env: l.env, library: l}
}

// argument is a harmless argument for a parameter of that name.
func argument(name string) string {
	switch name {
	case "width", "linecount", "slices", "length", "tabsize", "n", "num", "count":
		return "2"
	case "iterable", "mapping", "seq":
		return "[x]"
	}
	return "'a'"
}

// calls are the ways to give x to the parameters of a signature.
func calls(signature *python.ParamSpec) []string {
	if signature.Variadic {
		return []string{"()", "(x)", "(x, x)", "(k=x)", "('a', x)", "('upper', x)", "('replace', 'a', x)"}
	}
	var all []string
	for i := -1; i < len(signature.Names); i++ {
		var args []string
		for j, name := range signature.Names {
			switch {
			case i == j:
				args = append(args, name+"=x")
			case j < signature.Required:
				args = append(args, name+"="+argument(name))
			case name == "boolean" || name == "first":
				args = append(args, name+"=true")
			}
		}
		all = append(all, "("+strings.Join(args, ", ")+")")
	}
	return all
}

// filters are all filters with arguments, but for safe, which trusts the value.
func (g *structureGenerator) filters() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(g.env.Filters)) {
		if name == "safe" || name == "random" {
			continue
		}
		for _, call := range calls(&g.env.Filters[name].Signature) {
			all = append(all, name+call)
		}
	}
	return all
}

// expressions apply everything to the operands, which are markup or hold x.
func (g *structureGenerator) expressions(operands []string) []string {
	var all []string
	for _, v := range operands {
		all = append(all, v)
		for _, f := range g.filters() {
			all = append(all, v+"|"+f)
		}
		for _, table := range []map[string]*python.Method{g.env.Methods.Text, g.env.Methods.List,
			g.env.Methods.Dict} {
			if strings.HasPrefix(v, "[") != (table["append"] != nil) ||
				strings.HasPrefix(v, "{") != (table["popitem"] != nil) {
				continue
			}
			for _, name := range slices.Sorted(maps.Keys(table)) {
				for _, call := range calls(&table[name].Signature) {
					all = append(all, "("+v+")."+name+call)
				}
			}
		}
		for _, op := range []string{"+", "~", "%", "*", "or", "and", "in", "==", "<"} {
			for _, w := range []string{"x", "(x|e)", "'a'", "('&amp;'|safe)", "[x]", "(x, x)", "2"} {
				all = append(all, "("+v+" "+op+" "+w+")", "("+w+" "+op+" "+v+")")
			}
		}
		for _, format := range []string{"%[1]s[0]", "%[1]s[1:]", "%[1]s[1:-1]", "%[1]s[:2]", "%[1]s[::-1]", "%[1]s[-1]",
			"%[1]s.k", "(%[1]s if x else 'a')", "('a' if %[1]s else x)", "[%[1]s, x]|join('a')", "[%[1]s, 'a']|join(x)",
			"[%[1]s]|map('e')|join", "[%[1]s, x]|map('striptags')|list|join", "ours(%[1]s)", "joiner(%[1]s)()",
			"cycler(%[1]s).next()", "dict(k=%[1]s)", "namespace(k=%[1]s).k", "'%%s'|format(%[1]s)",
			"('%%s'|safe)|format(%[1]s)", "('{}'|safe).format(%[1]s)", "('{k}'|safe).format(k=%[1]s)",
			"('{k}'|safe).format_map({'k': %[1]s})", "('a'|safe).join([%[1]s, x])", "('a'|safe).replace('a', %[1]s)",
			"('a'|safe)|replace('a', %[1]s)", "%[1]s|e|e", "%[1]s|striptags|e", "[%[1]s]|tojson", "{'k': %[1]s}|xmlattr"} {
			all = append(all, fmt.Sprintf(format, "("+v+")"))
		}
	}
	return all
}

// blocks put an expression E through the blocks, to be printed where the expression would be: what is
// defined before, and what is printed.
func blocks() [][2]string {
	return [][2]string{
		{"", "{{ E }}"},
		{"{% set v %}{{ E }}{% endset %}", "{{ v }}"},
		{"{% macro m(x) %}{{ E }}{% endmacro %}", "{{ m(x) }}"},
		{"{% macro m() %}{{ caller() }}{% endmacro %}", "{% call m() %}{{ E }}{% endcall %}"},
		{"", "{% filter trim %}{{ E }}{% endfilter %}"},
		{"{% set v = E %}", "{{ v ~ '' }}"},
	}
}

// placed puts a value into a place, which has a § for it.
func placed(before, place, value string) string {
	return before + strings.ReplaceAll(place, "§", value)
}

// htmlStructure are the tags of a page with the names of their attributes, and where its links go to.
func htmlStructure(t *testing.T, page string) []string {
	t.Helper()
	var all []string
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			return all
		case html.TextToken:
		default:
			token := z.Token()
			tag := kind.String() + " " + token.Data
			if kind == html.CommentToken || kind == html.DoctypeToken {
				tag = kind.String()
			}
			var names []string
			for _, a := range token.Attr {
				if token.Data == "b" { // in whose tag the values are names
					assert.NotRegexp(t, "^(on[a-z]+|href|src|style)$", a.Key, page)
					continue
				}
				names = append(names, a.Key)
				link := strings.ToLower(strings.Map(func(r rune) rune {
					if r <= ' ' {
						return -1
					}
					return r
				}, a.Val))
				for _, scheme := range []string{"javascript:", "data:text", "vbscript:"} {
					assert.False(t, (a.Key == "href" || a.Key == "src") && strings.HasPrefix(link, scheme), page)
				}
			}
			all = append(all, tag+" "+strings.Join(names, " "))
		}
	}
}

// skip leaves out most of the combinations, where all of them would take too long: evenly, as its
// steps are prime.
func (g *structureGenerator) skip() bool {
	g.seen++
	switch {
	case thorough():
		return g.seen%11 != 0
	case testing.Short():
		return g.seen%9973 != 0
	}
	return g.seen%499 != 0
}

// check renders a template with a harmless value and all hostile ones.
func (g *structureGenerator) check(
	t *testing.T, source string, render func(data map[string]any) (string, error),
	same func(harmless, got string),
) {
	t.Helper()
	data := func(x string) map[string]any {
		return map[string]any{"x": x, "d": map[string]any{"k": x, x: x}, "l": []any{x, "a"}}
	}
	harmless, err := render(data("abc def"))
	require.NotErrorIs(t, err, ErrInternal, source)
	if err != nil {
		harmless = ""
	}
	for _, x := range hostileValues() {
		got, err := render(data(x))
		require.NotErrorIs(t, err, ErrInternal, source)
		if err == nil {
			same(harmless, got)
		}
	}
}

func TestValuesAreNoHTML(t *testing.T) {
	t.Parallel()
	g := newStructureGenerator(t)
	o := Options{Format: FormatHTML, Library: g.library}
	places := []string{"<p>§</p>", `<p title="§">x</p>`, "<p title='§'>x</p>", "<p title=§>x</p>",
		`<a href="§">x</a>`, "<a href=§>x</a>", "<p>1 <§> 2</p>", "<p>1 <<§</p>", "<!-- § --><p>",
		`<<a href="§">x</a>`, `<a href="  §">x</a>`, "<p><§", "<b §>x</b>"}
	check := func(source string) {
		if strings.Contains(source, "<b ") && strings.Contains(source, "json") {
			return // JSON has quotes, and is no name
		}
		tpl, err := Compile(source, o)
		if err != nil {
			return
		}
		g.check(t, source, func(data map[string]any) (string, error) { return tpl.Render(t.Context(), data) },
			func(harmless, got string) {
				want, structure := htmlStructure(t, harmless), htmlStructure(t, got)
				if strings.Contains(source, "urlize") { // makes links of its own
					links := func(tag string) bool {
						return strings.HasPrefix(tag, "StartTag a href rel") || tag == "EndTag a "
					}
					want, structure = slices.DeleteFunc(want, links), slices.DeleteFunc(structure, links)
				}
				if harmless == "" {
					assert.NotContains(t, strings.Join(structure, " "), "script", "%s: %s", source, got)
					assert.NotContains(t, strings.Join(structure, " "), " on", "%s: %s", source, got)
					return
				}
				assert.Equal(t, want, structure, "%s: %s", source, got)
			})
	}
	expressions := g.expressions([]string{"x", "(x|e)", "('%s{}a'|safe)", "[x]", "{'k': x}", "l", "d"})
	for _, e := range expressions {
		for _, place := range places {
			for _, block := range blocks() {
				if g.skip() {
					continue
				}
				check(strings.ReplaceAll(placed(block[0], place, block[1]), "E", e))
			}
		}
	}
	for _, f := range g.filters() {
		for _, place := range places {
			for _, body := range []string{"{{ x }}", "a", "", "{{ x|e }}{{ x }}"} {
				if g.skip() {
					continue
				}
				check(placed("", place, "{% filter "+f+" %}"+body+"{% endfilter %}"))
				check(placed("{% set v | "+f+" %}"+body+"{% endset %}", place, "{{ v }}"))
				check(placed("{% set v | "+f+"|list|join %}"+body+"{% endset %}", place, "{{ v }}"))
			}
		}
	}
	for _, source := range []string{
		`<a{{ {"href": x, "onclick": x, "title": x|tojson, "k": x|e}|xmlattr }}>`,
		`{% macro l(u) %}href="{{ u }}" title='{{ u|tojson }}'{% endmacro %}<a {{ l(x) }}>`,
		`{% macro q(s) %}"{{ s }}"{% endmacro %}<p title="{{ q(x) }}" id={{ q(x) }}>`,
		`{% set c %}{{ x }}{% endset %}<b {{ c }}>`,
		`{{ '<a href="%s" title=%s>x</a>'|safe|format(x, x) }}`, `{{ ('<a href="{}" title={}>x</a>'|safe).format(x, x) }}`,
		`{{ ('<a href="{u}">x</a>'|safe).format_map({'u': x}) }}`, `{{ '<a href="'|safe ~ x ~ '">x</a>'|safe }}`,
		`{{ '<a href="'|safe + x + ('">x</a>'|safe) }}`, `{{ ['<a href="'|safe, x, '">x</a>'|safe]|join }}`,
		`{{ ('<a href="U" title=U>x</a>'|safe)|replace('U', x) }}`, `{{ ('<a href="U" title=U>x</a>'|safe).replace('U', x) }}`,
		`{{ ['<a href="'|safe, '">x</a>'|safe]|join(x) }}`, `{{ (x|e).join(['<a href="'|safe, '">x</a>'|safe]) }}`,
		`<a href="{% filter trim %}{{ x }}{% endfilter %}">`, `<a title={% filter upper %}{{ x }}{% endfilter %}>`,
		`{{ [1]|tojson(indent=x) }}`, `{{ [[1]]|map('tojson', x)|first }}`, `{{ '<'|safe ~ x }}`, `{% set t %}<{% endset %}{{ t }}{{ x }}`, `{% macro m() %}{{ x }}{% endmacro %}<{{ m() }}>`,
	} {
		check(source)
	}
}

func TestValuesAreNoMarkdown(t *testing.T) {
	t.Parallel()
	g := newStructureGenerator(t)
	o := Options{Format: FormatMarkdown, Library: g.library}
	markdown := goldmark.New(goldmark.WithExtensions(extension.GFM),
		goldmark.WithRendererOptions(markdownhtml.WithUnsafe()))
	page := func(source string) string {
		var b bytes.Buffer
		require.NoError(t, markdown.Convert([]byte(source), &b))
		return b.String()
	}
	check := func(source string, allowed []string) {
		tpl, err := Compile(source, o)
		if err != nil {
			return
		}
		g.check(t, source, func(data map[string]any) (string, error) { return tpl.Render(t.Context(), data) },
			func(harmless, got string) {
				want := slices.Concat(allowed, htmlStructure(t, page(harmless)))
				for _, tag := range htmlStructure(t, page(got)) {
					assert.Contains(t, want, tag, "%s: %s", source, got)
				}
			})
	}
	for _, e := range g.expressions([]string{"x", "[x]", "{'k': x}"}) {
		for _, place := range []string{"a § b", "§", "<§>", "a <§> b", "`§`", "**a § b**", "- §\n", "```\n§\n```\n", "# §", "`<§ a"} {
			for _, block := range blocks() {
				if g.skip() || strings.Contains(e, "|e)") || strings.Contains(e, "|e|") {
					continue
				}
				// A span of code that the template does not end may end with the value, and **** is a line.
				allowed := htmlStructure(t, page(strings.ReplaceAll(place, "§", "a")+"\n\n`b`\n\n***\n"))
				check(strings.ReplaceAll(placed(block[0], place, block[1]), "E", e), allowed)
			}
		}
	}
}

// What has a JSON block in it, with an address that is not escaped, is escaped where it stands in text,
// also if the template says that the rest of it is safe.
func TestBlocksInSafeText(t *testing.T) {
	t.Parallel()
	const block = `{% set u %}{"url": "{{ x }}"}{% endset %}`
	for _, e := range []string{"('a'|safe)|replace('a', u)", "('a'|safe).replace('a', u)"} {
		for source, want := range map[string]string{
			`[{"text": "{{ E }}"}]`:                      `[{"text":"{\"url\": \"&lt;!channel&gt;\"}"}]`,
			`{% set v = E %}[{"text": "a{{ v ~ '' }}"}]`: `[{"text":"a{\"url\": \"&lt;!channel&gt;\"}"}]`,
			`[{"image": {{ E }}}]`:                       `[{"image":{"url": "<!channel>"}}]`,
		} {
			tpl, err := CompileJSON(block+strings.ReplaceAll(source, "E", e), Options{Format: FormatMrkdwn})
			require.NoError(t, err)
			got, err := tpl.Render(t.Context(), map[string]any{"x": "<!channel>"})
			require.NoError(t, err, source)
			assert.JSONEq(t, want, string(got), source)
		}
	}
}

func TestValuesAreNoJSON(t *testing.T) {
	t.Parallel()
	g := newStructureGenerator(t)
	const block = `{% set t %}{"a": "b {{ x }}"}{% endset %}{% set u %}{"url": "{{ x }}"}{% endset %}{% set h %}[{"a": "{{ x }}"},{% endset %}`
	check := func(source string) {
		for _, format := range []Format{FormatPlain, FormatMrkdwn} {
			tpl, err := CompileJSON(source, Options{Format: format, Library: g.library})
			if err != nil {
				continue
			}
			g.check(t, source, func(data map[string]any) (string, error) {
				b, err := tpl.Render(t.Context(), data)
				return string(b), err
			}, func(_, got string) {
				var v []map[string]any
				if !assert.NoError(t, json.Unmarshal([]byte(got), &v), "%s: %s", source, got) {
					return
				}
				if !assert.Len(t, v, 1, "%s: %s", source, got) {
					return
				}
				assert.Len(t, v[0], 1, "%s: %s", source, got)
				if !strings.Contains(source, "json(") {
					assert.False(t, hasKey(v[0], "evil"), "%s: %s", source, got)
				}
				if text, ok := v[0]["text"].(string); ok && format == FormatMrkdwn {
					assert.NotContains(t, text, "<!", "%s: %s", source, got)
				}
			})
		}
	}
	operands := []string{"x", "(x|e)", "(x|tojson)", "t", "u", "h", "('%s{}a'|tojson)", "('a'|safe)", "[x]", "{'k': x}", "[x|tojson]"}
	for _, e := range g.expressions(operands) {
		for _, place := range []string{`[{"text": "§"}]`, `[{"text": §}]`, `[{"value": "§"}]`, `[{"text": "a\"§\\"}]`, `[{"text": [§]}]`} {
			for _, b := range blocks() {
				if g.skip() {
					continue
				}
				check(block + strings.ReplaceAll(placed(b[0], place, b[1]), "E", e))
			}
		}
	}
	for _, f := range g.filters() {
		for _, place := range []string{`[{"text": "§"}]`, `[{"text": §}]`} {
			for _, body := range []string{"{{ x }}", "a", "", `{"a": "{{ x }}"}`, `{"url": "{{ x }}"}`} {
				if g.skip() {
					continue
				}
				check(placed("", place, "{% filter "+f+" %}"+body+"{% endfilter %}"))
				check(placed("{% set v | "+f+" %}"+body+"{% endset %}", place, "{{ v }}"))
			}
		}
	}
}

// hasKey reports whether an object in v has a key.
func hasKey(v any, key string) bool {
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			if k == key || hasKey(item, key) {
				return true
			}
		}
	case []any:
		for _, item := range v {
			if hasKey(item, key) {
				return true
			}
		}
	}
	return false
}
