package template

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whether a string of Slack's JSON is escaped depends on the nearest key above it alone: in a text
// template as in an object template, and whether a value brings the JSON or the template spells it
// out.
func TestMrkdwnGoesByTheNearestKey(t *testing.T) {
	t.Parallel()
	data := map[string]any{
		"x": map[string]any{
			"url": "https://e.com/?a=1&b=2", "text": "<!channel>", "values": []any{"<a>"},
			"value": []any{"<b>", []any{"<b>"}},
			"inner": map[string]any{"block_id": "<c>"},
		},
		"s": "<!channel>", "u": "a&amp;b", "l": []any{"<a>", map[string]any{"text": "<a>"}},
	}
	const x = `{"inner":{"block_id":"<c>"},"text":"&lt;!channel&gt;","url":"https://e.com/?a=1&b=2",
		"value":["<b>",["<b>"]],"values":["&lt;a&gt;"]}`
	check := func(source, want string, render func() ([]byte, error)) {
		t.Helper()
		got, err := render()
		if assert.NoError(t, err, source) {
			assert.JSONEq(t, want, string(got), source)
		}
	}
	text := func(source, want string) {
		t.Helper()
		tpl, err := CompileJSON(source, Options{Format: FormatMrkdwn})
		require.NoError(t, err)
		check(source, want, func() ([]byte, error) { return tpl.Render(t.Context(), data) })
	}
	object := func(source, want string) {
		t.Helper()
		tpl, err := CompileObject(json.RawMessage(source), Options{Format: FormatMrkdwn})
		require.NoError(t, err)
		check(source, want, func() ([]byte, error) { return tpl.Render(t.Context(), data) })
	}

	for _, key := range []string{"options", "value", "url"} {
		text(`{"`+key+`": {{ x }}}`, `{"`+key+`":`+x+`}`)
		text(`{"`+key+`": {{ x|tojson }}}`, `{"`+key+`":`+x+`}`)
		text(`{"`+key+`": [{{ x|tojson(2) }}]}`, `{"`+key+`":[`+x+`]}`)
		text(`{% set b %}{{ x|tojson }}{% endset %}{"`+key+`": {{ b }}}`, `{"`+key+`":`+x+`}`)
		object(`{"`+key+`": "{{ x }}"}`, `{"`+key+`":`+x+`}`)
	}
	for _, list := range []string{`{{ l }}`, `{{ l|tojson }}`} {
		text(`{"value": `+list+`}`, `{"value": ["<a>", {"text": "&lt;a&gt;"}]}`)
		text(`{"text": `+list+`}`, `{"text": ["&lt;a&gt;", {"text": "&lt;a&gt;"}]}`)
	}

	// Spelled out: the same source in both.
	for source, want := range map[string]string{
		`{"value": ["{{ s }}"], "text": ["{{ s }}"]}`:                    `{"value": ["<!channel>"], "text": ["&lt;!channel&gt;"]}`,
		`{"value": [{"text": "{{ s }}"}, [1, ["a"], "{{ s }}"]]}`:        `{"value": [{"text": "&lt;!channel&gt;"}, [1, ["a"], "<!channel>"]]}`,
		`{"value": {"a": {"b": [1]}, "url": "{{ s }}"}, "a": "{{ s }}"}`: `{"value": {"a": {"b": [1]}, "url": "<!channel>"}, "a": "&lt;!channel&gt;"}`,
		`{"text": [{"value": ["{{ s }}"]}, "{{ s }}"]}`:                  `{"text": [{"value": ["<!channel>"]}, "&lt;!channel&gt;"]}`,
		`["{{ s }}", {"url": ["a", "b"]}, "{{ s }}!"]`:                   `["&lt;!channel&gt;", {"url": ["a", "b"]}, "&lt;!channel&gt;!"]`,
	} {
		text(source, want)
		object(source, want)
	}

	// Blocks are escaped when they are written: what has no key in them waits for their place.
	text(`{% set b %}["{{ s }}", {"url": {{ u }}, "text": {{ u }}}]{% endset %}{"value": {{ b }}, "text": {{ b }}}`,
		`{"value": ["<!channel>", {"url": "a&amp;b", "text": "a&amp;amp;b"}],
		  "text": ["&lt;!channel&gt;", {"url": "a&amp;b", "text": "a&amp;amp;b"}]}`)
	// In a text, JSON is text, whatever its keys are.
	text(`{"text": "{{ {'url': s}|tojson }}"}`, `{"text": "{\"url\": \"&lt;!channel&gt;\"}"}`)
}

// JSON that is shown as text, inside of a string, brings no mention with it, whichever keys it has.
func TestMrkdwnOfJSONInsideText(t *testing.T) {
	t.Parallel()
	for _, block := range []string{
		`{% set b %}{{ {'url': s}|tojson }}{% endset %}`, `{% set b %}{"url": "{{ s }}"}{% endset %}`,
		`{% set b %}{"url": {{ s }}}{% endset %}`,
		`{% set b = {'url': s}|tojson %}`,
		`{% macro m() %}{"url": "{{ s }}"}{% endmacro %}{% set b = m() %}`,
	} {
		for _, print := range []string{`"{{ b }}"`, `"{{ b ~ 'x' }}"`, `{{ b ~ 'x' }}`, `{{ b + '.' }}`,
			`"{{ b|tojson }}"`, `{{ b|tojson }}`, `"{{ b[4:] }}"`, `{{ b[4:] }}`, `"{{ b|replace('u', 'v') }}"`,
			`"{{ b|truncate(40, true, '', 0) }}"`, `"{{ b.split('u')[1] }}"`, `"{{ '%s'|safe|format(b) }}"`,
			`{{ '%s'|format(b) }}`, `"{{ '{}'.format(b) }}"`, `"{{ ('{}'|safe).format(b) }}"`,
			`"{{ [b, 'x']|join }}"`, `"{{ (', '|safe).join([b, 'x']) }}"`, `"{{ {'a': b}|xmlattr }}"`,
			`"{{ b|urlize }}"`, `"{{ b|list|join }}"`, `"{{ [b] }}"`, `{{ [b]|string }}`, `"{{ b|e }}"`,
			`"{{ b.ljust(200, '.') }}"`, `"{{ b|format }}"`, `"{{ b % () }}"`, `"{{ b|upper|lower }}"`,
			`"{% filter trim %}{{ b }}{% endfilter %}"`, `"{% set t %}see {{ b }}{% endset %}{{ t }}"`,
			`"{% set t %}see '{{ b ~ '!' }}'{% endset %}{{ t }}"`, `"{% set t | title %}{{ b }}{% endset %}{{ t }}"`,
		} {
			source := block + `{"text": ` + print + `}`
			tpl, err := CompileJSON(source, Options{Format: FormatMrkdwn})
			require.NoError(t, err, source)
			got, err := tpl.Render(t.Context(), map[string]any{"s": "<!channel> & <https://e.com|x>"})
			require.NoError(t, err, source)
			var out struct{ Text string }
			require.NoError(t, json.Unmarshal(got, &out), "%s: %s", source, got)
			assert.NotContains(t, out.Text, "<", source)
			assert.Contains(t, strings.ToLower(out.Text), "lt;!channel&", source)
		}
	}
}
