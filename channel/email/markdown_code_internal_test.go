package email

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/template"
)

// piecesOfMarkdown are what the templates are made of: above all what makes code, or what only
// looks as if it did.
func piecesOfMarkdown() []string {
	return []string{
		"{{ v }}", "{{ v }}", "{{ v }}", "`{{ v }}`", "{{ w }}", "`", "`", "``", "```", "\n```\n", "~~~",
		"\n~~~\n", "\n", "\n", "\n\n", "    ", "\n    ", "  ", " ", " ", "\t", "\\", "it`s", "a",
		"\n- ", "\n> ", "\n1. ", "# ", "|", " | ", "\n\n| a | b |\n|---|---|\n",
		"[a](", "[a](b) ", "[a]", "[", "]", "(", ")", "'", `"`, "http://a.example/", "www.a.example/",
		"\n===\n", "*", "_", "[a]: /b ", "\n\n[a]: `", ":", "@a.example",
		"{% for i in [1, 2] %}`{{ v }}{% endfor %}", "{% set y %}`{{ v }}`{% endset %}{{ y }}",
		"{% macro m(x) %}\n```\n{{ x }}\n```\n{% endmacro %}{{ m(v) }}",
		"{{ '`'|safe }}", "{{ '\r'|safe }}", "{{ v|e }}",
	}
}

// hostileInCode are values that say something in Markdown where they do not stand in code.
func hostileInCode() []string {
	return []string{
		"![x](http://evil.example/p.png)", "[a](http://evil.example)", "<img src=x>",
		"<http://evil.example>", ") ![x](http://evil.example/p.png)",
		"') ![x](http://evil.example/p.png)", "| ![x](http://evil.example/p.png)",
		"\n![x](http://evil.example/p.png)", "\n\n![x](http://evil.example/p.png)\n\n",
		"```\n![x](http://evil.example/p.png)", "\n```\n![x](http://evil.example/p.png)",
		"\n~~~\n\n<img src=x>", "`![x](http://evil.example/p.png)",
		"\\![x](http://evil.example/p.png)", "![x](http://evil.example/p.png)\\",
		"]: http://evil.example", "x <img src=x> x", "> <img src=x>", "a@evil.example b",
		"x http://evil.example",
	}
}

// Whatever the Markdown of a template is, a value makes no link, picture or HTML, even where the
// template only seems to put it into code.
func TestMarkdownValuesMakeNothing(t *testing.T) {
	t.Parallel()
	templates := 3000
	if testing.Short() {
		templates = 100
	}
	made := regexp.MustCompile(`<img|raw HTML|<a href="(?:http://evil|mailto:[^"]*evil)`)
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	pieces, values := piecesOfMarkdown(), hostileInCode()
	for range templates {
		var source strings.Builder
		for range 1 + random.IntN(12) {
			source.WriteString(pick(pieces))
		}
		tpl, err := template.Compile(source.String(),
			template.Options{Format: template.FormatMarkdown})
		require.NoError(t, err, "%q", source.String())
		v := pick(values)
		w := pick([]string{"", "`", "``", "a", "```", " ", "\n", "\\", pick(values)})
		text, err := tpl.Render(t.Context(), map[string]any{"v": v, "w": w})
		require.NoError(t, err, "%q", source.String())
		rich, ok, err := convertMarkdown(t.Context(), text)
		require.NoError(t, err)
		require.True(t, ok)
		require.NotRegexp(t, made, rich, "%q with %q and %q is %q",
			source.String(), v, w, text)
	}
}
