package template

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rows that once put a value's JSON into the result.
func TestJSONOfValuesStaysText(t *testing.T) {
	t.Parallel()
	const section = `{"type":"section","text":{"type":"mrkdwn","text":"NAME"}}`
	for _, source := range []string{
		`{% set t %}` + section + `{% endset %}[{{ t.replace('NAME', x) }}]`,
		`{% set t %}` + section + `{% endset %}[{{ t|replace('NAME', x|e) }}]`,
		`{% set t %}` + section + `{% endset %}[{{ t|replace('NAME', x) }}]`,
		`{% set t %}[{"a": NAME}]{% endset %}{{ t|replace('NAME', x) }}`,
		`{% set t %}[{"a": NAME}]{% endset %}{{ t.replace('NAME', x) }}`,
		`{"text": {{ ('Hello NAME'|tojson).replace('NAME', x) }}}`,
		`{"text": {{ ('Hello NAME'|tojson).replace('NAME', x|tojson) }}}`,
		`{% set head %}[{"type":"header","text":{"type":"plain_text","text":"{{ x }}"}},{% endset %}{{ head }}{"type":"divider"}]`,
		`{% macro open(t) %}[{"type":"section","text":{"type":"mrkdwn","text":"{{ t }}"}},{% endmacro %}{{ open(x) }}{"type":"divider"}]`,
		`{% macro open(t) %}[{"text":"{{ t }}"},{% endmacro %}{{ open(x) ~ '{"type":"divider"}'|safe ~ ']'|safe }}`,
		`{% macro open(t) %}{% filter trim %} [{"text":"{{ t }}"}, {% endfilter %}{% endmacro %}{% set h %}{{ open(x) }}{% endset %}{{ h|safe }}{"type":"divider"}]`,
		`[{{ (x|tojson)[1:-1] }}]`, `[{{ (x|tojson)[1:] }}]`, `[{{ (x|tojson).strip('"') }}]`,
		`[{{ (x|tojson)|trim('"') }}]`, `[{{ (x|tojson).split('"')[1] }}]`,
		`[{{ (x|tojson)|truncate(10, true, '', 0) }}]`, `[{{ (x|tojson)|replace('"', '') }}]`,
		`[{{ (x|tojson).replace('"', '') }}]`, `[{{ (x|tojson).removeprefix('"').removesuffix('"') }}]`,
		`[{{ (x|tojson).partition('"')[2] }}]`, `[{{ (x|tojson)[::-1] }}]`,
		`[{{ (x|tojson)|reverse }}]`, `[{{ (x|tojson).ljust(90, ',') }}]`,
		`[{{ '"'|safe ~ x|tojson ~ '"'|safe }}]`,
		`[{{ ['"'|safe, x|tojson, '"'|safe]|join }}]`,
		`{% set t %}{"a":"\n{{ x }}"}{% endset %}[{{ t.replace('n', '') }}]`,
	} {
		tpl, err := CompileJSON(source, Options{Format: FormatMrkdwn})
		require.NoError(t, err, source)
		harmless := jsonShape(t, tpl, "x")
		for _, x := range append(hostileTexts(), `1},{"evil":2`, `1,2`, `[1,2]`, `{}`, `x"}},{"type":"rich_text","a":{"b":"`,
			`x"},{"evil":"`, `1},{`, `n"},{"evil":1,"a":"`, "\n"+`ame"},{"evil":1,"b":"`) {
			if got := jsonShape(t, tpl, x); got != "" {
				if harmless != "" && got != "[]" { // nothing is left of ""
					assert.Equal(t, harmless, got, "%s with %q", source, x)
				}
				assert.NotContains(t, got, "evil", "%s with %q", source, x)
			}
		}
	}
}

// jsonShape renders a template of JSON and returns what the result is made of: everything but the
// text of its strings and which scalars there are; "" if the result is no JSON.
func jsonShape(t *testing.T, tpl *JSON, x string) string {
	t.Helper()
	out, err := tpl.Render(t.Context(), map[string]any{"x": x})
	if err != nil {
		require.NotErrorIs(t, err, ErrInternal)
		return ""
	}
	var v any
	require.NoError(t, json.Unmarshal(out, &v))
	shape, err := json.Marshal(shapeOf(v))
	require.NoError(t, err)
	return string(shape)
}

func shapeOf(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for k, item := range v {
			m[k] = shapeOf(item)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, item := range v {
			l[i] = shapeOf(item)
		}
		return l
	}
	return 0
}

// What a filter of a block decodes or brings along is no part of the template.
func TestFiltersOfBlocksDecodeNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a few hundredths of a second of CPU time")
	}
	t.Parallel()
	l := library(t, LibraryConfig{Ready: ReadyAll, Filters: map[string]Func{
		"own": {Call: func(context.Context, any, []any) (any, error) { return "<own>", nil }}}})
	data := map[string]any{"x": "<img src=x onerror=alert(1)>", "u": "%3Cscript%3E", "b": "PHNjcmlwdD4=",
		"j": `"\u003cscript\u003e"`, "channel": "<!channel>", "a": "a"}
	for _, chain := range []string{"striptags", "urlunquote", "b64decode", "from_json", "own",
		"striptags|upper", "striptags|title", "striptags|wordwrap(99)", "striptags|list|join",
		"list|map('striptags')|join", "batch(99)|map('join')|map('striptags')|first", "default(x, true)",
		"wordwrap(1, true, x)", "join(x)", "list|join(x)", "trim|wordwrap(1, wrapstring=x)", "title|join(x)",
		"batch(2, x)|map('join')|join", "sort|join(x)", "int(x)|string", "float(default=x)|string",
		"regex_replace('a', x)", "regex_replace(find='a', replace=x)", "regex_findall('a')|join(x)",
		"replace('a', x)", "format(x)", "truncate(1, true, x, 0)", "indent(x, true)", "d(x, true)", "first|join(x)",
		"strftime(x)", "reverse|urlunquote|reverse", "attr('x')|default(x)", "parse_json(x)|string",
		"tojson|from_json", "base64_encode|base64_decode", "striptags|e", "striptags|string|safe|string"} {
		for _, body := range []string{"{{ x }}", "{{ u }}", "{{ b }}", "{{ j }}", "a a", ""} {
			for _, source := range []string{"{% filter CHAIN %}BODY{% endfilter %}",
				"{% set d | CHAIN %}BODY{% endset %}{{ d }}"} {
				source = strings.NewReplacer("CHAIN", chain, "BODY", body).Replace(source)
				if strings.Contains(chain, "safe") && body != "a a" {
					continue
				}
				got, err := render(t, source, data, Options{Format: FormatHTML, Library: l})
				if err == nil {
					assert.NotContains(t, got, "<", source)
				}
			}
		}
	}
	got, err := renderJSON(t, `{% set t | striptags %}{{ channel }}{% endset %}[{"type":"section","text":{"type":"mrkdwn","text":"{{ t }}"}}]`,
		data, FormatMrkdwn)
	require.NoError(t, err)
	assert.JSONEq(t, `[{"type":"section","text":{"type":"mrkdwn","text":"&lt;!channel&gt;"}}]`, got)
	// What keeps escapes is not escaped twice, and what the template says is not escaped at all.
	for source, want := range map[string]string{
		"{% filter title %}<b>{{ channel }}</b>{% endfilter %}":             "<B>&lt;!channel&gt;</b>",
		"{% filter wordwrap(9) %}<b>{{ a }} {{ x[:4] }}{% endfilter %}":     "<b>a\n&lt;img",
		"{% set t | title %}<b>{{ channel }}{% endset %}{{ t }}":            "<B>&lt;!channel&gt;",
		"{% filter list|join('<br>') %}{{ x[:1] }}{% endfilter %}":          "&<br>l<br>t<br>;",
		"{% filter wordwrap(a|length) %}a {{ x[:1] }}{% endfilter %}":       "a\n&\nl\nt\n;",
		"{% call joiner(x)() %}{% endcall %}":                               "",
		"{% set t | length %}<{{ a }}>{% endset %}{{ t + t }}":              "",
		"{% filter striptags %}<b>{{ a }} &amp; {{ a }}</b>{% endfilter %}": "a &amp; a",
	} {
		got, err := render(t, source, data, Options{Format: FormatHTML, Library: l})
		if want != "" {
			require.NoError(t, err, source)
			assert.Equal(t, want, got, source)
		} else {
			assert.NotContains(t, got, "<img", source)
		}
	}
	got, err = render(t, "{% call x.format() %}{% endcall %}", data, Options{Format: FormatHTML})
	require.NoError(t, err)
	assert.NotContains(t, got, "<")
}

// A leaf that is one expression is escaped as any other, and so is a value outside of JSON's strings.
func TestValuesOfJSONAreEscapedForTheFormat(t *testing.T) {
	t.Parallel()
	data := map[string]any{"x": "<b> *c*", "l": []any{"<b>"}, "o": map[string]any{"k": []any{"<b>"}}, "n": 1}
	for format, want := range map[Format]string{
		FormatHTML:     `{"a": "&lt;b&gt; *c*", "b": " &lt;b&gt; *c*", "c": ["&lt;b&gt;"], "d": {"k": ["&lt;b&gt;"]}, "e": 1, "f": "<b> *c*"}`,
		FormatMarkdown: `{"a": "\\<b\\> \\*c\\*", "b": " \\<b\\> \\*c\\*", "c": ["\\<b\\>"], "d": {"k": ["\\<b\\>"]}, "e": 1, "f": "<b> *c*"}`,
		FormatMrkdwn:   `{"a": "&lt;b&gt; *c*", "b": " &lt;b&gt; *c*", "c": ["&lt;b&gt;"], "d": {"k": ["&lt;b&gt;"]}, "e": 1, "f": "<b> *c*"}`,
		FormatPlain:    `{"a": "<b> *c*", "b": " <b> *c*", "c": ["<b>"], "d": {"k": ["<b>"]}, "e": 1, "f": "<b> *c*"}`,
	} {
		o, err := CompileObject([]byte(`{"a": "{{ x }}", "b": " {{ x }}", "c": "{{ l }}", "d": "{{ o }}", "e": "{{ n }}", "f": "{{ x|safe }}"}`),
			Options{Format: format})
		require.NoError(t, err)
		got, err := o.Render(t.Context(), data)
		require.NoError(t, err)
		number := `"e":1`
		if format == FormatMrkdwn {
			number = `"e":"1"`
		}
		assert.Contains(t, string(got), number)
		assert.JSONEq(t, want, strings.Replace(string(got), `"e":"1"`, `"e":1`, 1), format)
		for _, source := range []string{
			`{"a": {{ x }}, "b": " {{ x }}", "c": {{ l }}, "d": {{ o }}, "e": {{ n }}, "f": "{{ x|safe }}"}`,
			`{"a": {{ x|tojson }}, "b": " {{ x|e }}", "c": {{ l|tojson }}, "d": {{ o|tojson }}, "e": {{ n|tojson }}, "f": "{{ x|safe }}"}`,
		} {
			text, err := renderJSON(t, source, data, format)
			require.NoError(t, err)
			assert.JSONEq(t, want, text, "%s %s", format, source)
		}
	}
}
