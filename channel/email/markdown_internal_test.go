package email

import (
	"context"
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/template"
)

// hostileMarkdown are values that say something in Markdown where nothing
// escapes them.
func hostileMarkdown() []string {
	return []string{
		"![x](https://evil.example/p.png)", "[your bank](https://evil.example)", "<https://evil.example>",
		"https://evil.example/a?b=c", "www.evil.example",
		"a@evil.example", "# heading", "- item", "+ item", "1. item", "1) item", "> quote", "***", "---",
		"===", "**b** _i_ ~~s~~ `c`", "| a | b |", "a|b", "&lt;b&gt; &amp;",
		"<script>x</script>", "<b>", `back\slash \* `, "    code", "```\ncode\n```", "~~~",
		"[x]: https://evil.example", "[^1]", "- [ ] todo", "a\n\n# b\n\n![c](d)", "tab\tbed",
		"x\n---", "\n===", "![", "](", ")", "`", "``", "evt_a_b-c", "2025-10-08T16:09:00Z",
		"$5 100% a/b?c;d,e", "ftp://evil.example", "mailto:a@b.c",
	}
}

// A value shows in a Markdown mail as it is, and makes nothing of Markdown.
func TestMarkdownShowsValues(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	t.Parallel()
	tags := regexp.MustCompile(`<[^>]*>`)
	for _, source := range []string{
		"Title: {{ x }} end", "{{ x }}", "# {{ x }}", "- {{ x }}\n- b", "**{{ x }}**",
		"| a | b |\n|---|---|\n| {{ x }} | 2 |", "> {{ x }}", "[{{ x }}](https://example.com)",
		"a\n{{ x }}\nb",
		"{% set y %}{{ x }}{% endset %}{{ y }}", "{% macro m(v) %}_{{ v }}_{% endmacro %}a {{ m(x) }} b",
		"{{ [x]|join(', ') }}", "{{ x|e }}",
		"code `{{ x }}` text", "``{{ x }}`` text", "```\n{{ x }}\n```\n\ntext",
		"~~~ text\na\n {{ x }}\n~~~\n", "a\n\n```go\nb {{ x }}\n```\n\n{{ x }}",
	} {
		tpl, err := template.Compile(source, template.Options{Format: bodyFormat(ContentMarkdown)})
		require.NoError(t, err)
		convert := func(x string) (plain, rich string) {
			text, err := tpl.Render(t.Context(), map[string]any{"x": x})
			require.NoError(t, err)
			rich, ok, err := convertMarkdown(t.Context(), text)
			require.NoError(t, err)
			require.True(t, ok)
			return markdownText(text), rich
		}
		_, harmless := convert("x")
		for _, x := range hostileMarkdown() {
			plain, rich := convert(x)
			assert.Equal(t, tags.FindAllString(harmless, -1), tags.FindAllString(rich, -1),
				"%q in %q makes %s", x, source, rich)
			want := strings.Join(strings.Fields(x), " ")
			if strings.Contains(source, "code `") || strings.Contains(source, "``{{") {
				want = strings.ReplaceAll(want, "`", "'")  // nothing can stand for a backtick in code
				want = strings.ReplaceAll(want, "|", `\|`) // which could end a cell of a table
			}
			shown := strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(rich, ""))), " ")
			assert.Contains(t, shown, strings.TrimSpace(want), "%q in %q makes %s", x, source, rich)
			if !strings.Contains(source, "`") && !strings.Contains(source, "~~~") {
				assert.Contains(t, strings.Join(strings.Fields(plain), " "), strings.TrimSpace(want),
					"%q in %q", x, source)
			}
		}
	}
}

// What went through |safe is Markdown.
func TestMarkdownOfSafeValues(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"{{ x|safe }}",
		"{% autoescape false %}{{ x }}{% endautoescape %}"} {
		tpl, err := template.Compile(source, template.Options{Format: template.FormatMarkdown})
		require.NoError(t, err)
		text, err := tpl.Render(t.Context(), map[string]any{"x": "**b** [a](https://example.com)"})
		require.NoError(t, err)
		assert.Equal(t, "**b** [a](https://example.com)", text)
	}
}

// brokenContext panics once.
type brokenContext struct {
	context.Context
	panicked bool
}

func (c *brokenContext) Err() error {
	if !c.panicked {
		c.panicked = true
		panic("broken")
	}
	return c.Context.Err()
}

// Only the panics that stop a conversion are kept from the caller: another one is a mistake, and the
// mail would go out without its HTML, and no error would say so.
func TestMarkdownHidesNoMistakes(t *testing.T) {
	t.Parallel()
	source := strings.Repeat("*a* ", 20_000)
	assert.PanicsWithValue(t, "broken", func() {
		_, _, _ = convertMarkdown(&brokenContext{Context: t.Context()}, source)
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, ok, err := convertMarkdown(ctx, source)
	assert.ErrorIs(t, err, context.Canceled)
	assert.False(t, ok)
}
