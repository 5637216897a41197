package template

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
)

func renderJSON(t *testing.T, source string, data map[string]any, format Format) (string, error) {
	t.Helper()
	tpl, err := CompileJSON(source, Options{Format: format})
	require.NoError(t, err, source)
	b, err := tpl.Render(t.Context(), data)
	return string(b), err
}

// hostileTexts are values that break JSON or say something to Slack where nothing escapes them.
func hostileTexts() []string {
	return []string{
		`the "new" one`, "two\nlines\r\n\ttab", `C:\temp\new`, `\`, `\u0041`, "\x00\x1f\u2028\U0001f600",
		`<!channel> R&D's <https://evil.example|bank>`,
		`"},{"type":"section","text":{"type":"mrkdwn","text":"x"}},{"a":"`, `"`, "", ",", "1", "true",
		`{{ 1 }}`, `&amp;`, `,{"type":"divider"}`, `{"type":"divider"}`,
	}
}

// A value in a template of JSON is the same value in the result, wherever it stands and whatever it
// is.
func TestJSONValues(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"in a string":         `{"a": "{{ x }}"}`,
		"escaped":             `{"a": "{{ x|e }}"}`,
		"as a whole":          `{"a": {{ x|tojson }}}`,
		"escaped as a whole":  `{"a": {{ x|e|tojson }}}`,
		"bare, escaped":       `{"a": {{ x|e|string }}}`,
		"cut out":             `{"a": "{{ (x|tojson)[1:-1] }}"}`,
		"in a block":          `{% set v %}{{ x }}{% endset %}{"a": "{{ v }}"}`,
		"in a bare block":     `{% set v %}{{ x }}{% endset %}{"a": {{ v|tojson }}}`,
		"in a block of JSON":  `{% set v %}{"a": "{{ x }}"}{% endset %}{{ v }}`,
		"in JSON of macros":   `{% macro m(v) %}"a": "{{ v }}"{% endmacro %}{ {{ m(x) }} }`,
		"in a text of macros": `{% macro m(v) %}{{ v }}{% endmacro %}{"a": "{{ m(x) }}"}`,
		"in a call":           `{% macro m() %}{ {{ caller() }} }{% endmacro %}{% call m() %}"a": "{{ x }}"{% endcall %}`,
		"in a filter block":   `{"a": "{% filter string %}{{ x }}{% endfilter %}"}`,
		"through a list":      `{% set rows = ['"a": "' ~ 'b"'] %}{% set l = [] %}{% macro m(v) %}{"a": "{{ v }}"}{% endmacro %}{% set _ = l.append(m(x)) %}{{ l|join(',') }}`,
		"joined":              `{"a": "{{ [x]|join(', ') }}"}`,
		"in a with":           `{% with y = x %}{"a": "{{ y }}"}{% endwith %}`,
		"formatted":           `{"a": "{{ '%s'|format(x) }}"}`,
		"after text":          `{"b": "\"\\", "a": "{{ x }}"}`,
	} {
		for _, format := range []Format{FormatPlain, FormatMrkdwn} {
			for _, x := range hostileTexts() {
				if name == "cut out" && format == FormatMrkdwn || name == "bare, escaped" &&
					(x == "1" || x == "true") {
					continue
				}
				out, err := renderJSON(t, source, map[string]any{"x": x}, format)
				require.NoError(t, err, "%s: %q", name, x)
				var got map[string]any
				require.NoError(t, json.Unmarshal([]byte(out), &got), "%s: %q", name, x)
				want := x
				if format == FormatMrkdwn {
					want = string(escaping.AppendMrkdwn(nil, x))
				}
				assert.Equal(t, want, got["a"], "%s, %q: %s", name, x, out)
			}
		}
	}
}

func TestJSONOutput(t *testing.T) {
	t.Parallel()
	data := map[string]any{
		"title": `a "b" <c> & d`, "flag": true, "none": nil, "n": 3, "list": []any{"<a>", 1},
		"object": map[string]any{"k": "<v>"},
		"url":    "https://example.com/?a=1&b=2", "items": []any{"x", "y", "z"}, "number": "42",
		"block": `{"type":"divider"}`,
	}
	for source, want := range map[string]string{
		`{"a": {{ title }}}`:                                                                    `{"a": "a \"b\" &lt;c&gt; &amp; d"}`,
		`{"a": {{ flag }}, "b": {{ n }}}`:                                                       `{"a": true, "b": 3}`,
		`{"a": {{ none }}, "b": {{ missing }}}`:                                                 `{"a": null, "b": null}`,
		`{"a": {{ list }}, "b": {{ object }}}`:                                                  `{"a": ["&lt;a&gt;",1], "b": {"k":"&lt;v&gt;"}}`,
		`{"a": {{ flag|lower }}, "b": {{ number }}}`:                                            `{"a": true, "b": 42}`,
		`[{% for i in items %}"{{ i }}"{{ "," if not loop.last }}{% endfor %}]`:                 `["x","y","z"]`,
		`{% set comma = joiner(",") %}[{% for i in items %}{{ comma() }}"{{ i }}"{% endfor %}]`: `["x","y","z"]`,
		`[{{ items|map('tojson')|join(', ') }}]`:                                                `["x", "y", "z"]`,
		`{"a": {{ 'true' if flag else 'false' }}, "b": [1{{ ', {"x": 2}' if flag }}]}`:          `{"a": true, "b": [1, {"x": 2}]}`,
		`[{{ block }}]`:      `["{\"type\":\"divider\"}"]`,
		`[{{ block|safe }}]`: `[{"type":"divider"}]`,
		`[{% autoescape false %}{{ block }}{% endautoescape %}]`:                                           `[{"type":"divider"}]`,
		`{"a": "{{ title|safe }}"}`:                                                                        `{"a": "a \"b\" <c> & d"}`,
		`{"a": "{% autoescape false %}{{ url }}{% endautoescape %}"}`:                                      `{"a": "https://example.com/?a=1&b=2"}`,
		`{"url": "{{ url }}", "image_url": {{ url }}, "thumb_url": {{ url|tojson }}, "text": "{{ url }}"}`: `{"url": "https://example.com/?a=1&b=2", "image_url": "https://example.com/?a=1&b=2", "thumb_url": "https://example.com/?a=1&b=2", "text": "https://example.com/?a=1&amp;b=2"}`,
		`{"a": "{{ object|tojson }}"}`:                                                                     `{"a": "{\"k\": \"&lt;v&gt;\"}"}`,
		`{% set t %}one\ntwo "{{ n }}"` + "\n" + `{% endset %}{"a": "{{ t }}"}`:                            `{"a": "one\ntwo \"3\"\n"}`,
		`{% set head %}[{{ number }}] {{ title }}{% endset %}{"a": "{{ head }}", "b": {{ head|length }}}`:  `{"a": "[42] a \"b\" &lt;c&gt; &amp; d", "b": 28}`,
		`{"a": "{% filter upper %}x\ny{{ items[0] }}{% endfilter %}"}`:                                     `{"a": "X\nYX"}`,
		`{% set open %}"x{% endset %}{{ open ~ '"' }}`:                                                     `"\"x\""`,
		`[{% for i in [[1, [2]]] recursive %}{{ i[0] if i is iterable else i }}{{ "," ~ loop(i[1:]) if i is iterable and i|length > 1 }}{% endfor %}]`: `[1,2]`,
	} {
		got, err := renderJSON(t, source, data, FormatMrkdwn)
		if assert.NoError(t, err, source) {
			var wanted any
			require.NoError(t, json.Unmarshal([]byte(want), &wanted), want)
			assert.JSONEq(t, want, got, source)
		}
	}
}

// No value makes a block that the template does not have.
func FuzzJSONValues(f *testing.F) {
	for _, s := range hostileTexts() {
		f.Add(s)
	}
	const source = `{% macro row(v) %}{"t": "{{ v }}", "u": {{ v }}, "w": {{ v|e }}}{% endmacro %}{% set block %}{"t": "{{ x }}"}{% endset %}` +
		`[{"t": "a{{ x }}b"}, {"t": {{ x }}}, {"t": {{ x|e }}}, {{ row(x) }}, {{ block }}, {"t": {{ x|tojson }}}, {"t": "{{ row(x) }}"}, {"t": "{{ x|safe }}"}]`
	f.Fuzz(func(t *testing.T, x string) {
		for _, format := range []Format{FormatPlain, FormatMrkdwn} {
			tpl, err := CompileJSON(source, Options{Format: format})
			require.NoError(t, err)
			out, err := tpl.Render(t.Context(), map[string]any{"x": x})
			require.NoError(t, err)
			var blocks []map[string]any
			require.NoError(t, json.Unmarshal(out, &blocks))
			assert.Len(t, blocks, 8)
			for i, b := range blocks {
				want := 1
				if i == 3 {
					want = 3
				}
				assert.Len(t, b, want)
			}
		}
	})
}

func TestMrkdwn(t *testing.T) {
	t.Parallel()
	const title = `<!channel> R&D's <https://evil.example|your bank>`
	const want = `&lt;!channel&gt; R&amp;D's &lt;https://evil.example|your bank&gt;`
	for source, want := range map[string]string{
		"{{ x }}": want, "{{ x|e }}": want, "{{ x|escape|e }}": want, "{{ x|safe }}": title,
		"{% autoescape false %}{{ x }}{% endautoescape %}": title,
		"{% set s %}*{{ x }}*{% endset %}{{ s }}":          "*" + want + "*",
	} {
		got, err := render(t, source, map[string]any{"x": title}, Options{Format: FormatMrkdwn})
		require.NoError(t, err)
		assert.Equal(t, want, got, source)
	}
}

// Object templates escape the text of values as well, and Slack gets strings where it wants
// strings.
func TestMrkdwnObject(t *testing.T) {
	t.Parallel()
	o, err := CompileObject(json.RawMessage(`{"text": "{{ x }}", "also": "*{{ x }}*", "raw": "{{ x|safe }}", "url": "{{ u }}", "image_url": "{{ u }}?{{ u }}",
		"list": "{{ l }}", "number": "{{ n }}", "missing": "{{ gone }}", "flag": "{{ b }}", "json": "{{ l|tojson }}"}`), Options{Format: FormatMrkdwn})
	require.NoError(t, err)
	out, err := o.Render(t.Context(),
		map[string]any{"x": "<!here> & \"q\"\n", "u": "https://e.example/?a&b", "l": []any{"<a>"}, "n": 5,
			"b": true})
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(out, &got))
	assert.Equal(t, map[string]any{
		"text": "&lt;!here&gt; &amp; \"q\"\n", "also": "*&lt;!here&gt; &amp; \"q\"\n*",
		"raw": "<!here> & \"q\"\n",
		"url": "https://e.example/?a&b", "image_url": "https://e.example/?a&b?https://e.example/?a&b",
		"list": []any{"&lt;a&gt;"}, "number": "5", "missing": "", "flag": true, "json": `["&lt;a&gt;"]`,
	}, got)
}

// A key whose value is over says nothing about the values that follow.
func TestMrkdwnBehindAddress(t *testing.T) {
	t.Parallel()
	const source = `[{"type": "image", "image_url": "https://e.example"}, {{ {"text": x} }}, {"value": {{ x }}}]`
	tpl, err := CompileJSON(source, Options{Format: FormatMrkdwn})
	require.NoError(t, err)
	out, err := tpl.Render(t.Context(), map[string]any{"x": "<!channel>"})
	require.NoError(t, err)
	require.JSONEq(t,
		`[{"type": "image", "image_url": "https://e.example"}, {"text":"&lt;!channel&gt;"}, {"value": "<!channel>"}]`, string(out))
}
