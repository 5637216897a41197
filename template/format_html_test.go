package template

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHTMLPlaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ source, x, want string }{
		{`<a href="{{ x }}">`, "javascript:alert(1)", `<a href="#">`},
		{`<a href='{{ x }}'>`, " java\nscript:alert(1)", `<a href='#'>`},
		{`<A HREF = {{ x }}>`, "JavaScript:alert(1)", `<A HREF = #>`},
		{`<a class=b href={{ x|e }}>`, "vbscript:x", `<a class=b href=#>`},
		{`<a href="{{ x|e }}">`, "data:text/html,x", `<a href="#">`},
		{`<a href="{{ x|safe }}">`, "myapp://x", `<a href="myapp://x">`},
		{`<a href="{% set u %}{{ x }}{% endset %}{{ u }}">`, "javascript:1", `<a href="#">`},
		{`<a href="{{ x }}">`, "https://e.example/?a=1&b=2", `<a href="https://e.example/?a=1&amp;b=2">`},
		{`<a href="{{ x|e }}">`, "/path?a=1&b=2:3", `<a href="/path?a=1&amp;b=2:3">`},
		{`<a href="{{ x }}">`, "path", `<a href="path">`},
		{`<a href="{{ x }}">`, "mailto:a@b.c", `<a href="mailto:a@b.c">`},
		{`<a href="https://e.example/{{ x }}">`, "javascript:1",
			`<a href="https://e.example/javascript:1">`},
		{`<img src="{{ x }}">`, "data:image/png;base64,AA==", `<img src="data:image/png;base64,AA==">`},
		// An address of several parts, or with blanks before it.
		{`<a href=" {{ x }}">`, "javascript:1", `<a href=" #">`},
		{"<a href=\"\n  {{ x }}\">", "javascript:1", "<a href=\"\n  #\">"},
		{`<a href="{{ x[:4] }}{{ x[4:] }}">`, "javascript:1", `<a href="java#">`},
		{`<a href={{ x[:4] }}{{ x[4:] }}>`, "javascript:1", `<a href=java#>`},
		{`<a href="{{ x[:99] }}{{ x[99:] }}">`, "\t" + strings.Repeat(" ", 99) + "javascript:1",
			"<a href=\"\t" + strings.Repeat(" ", 98) + "#\">"},
		{`<a href="{{ x[:4] }}{{ x[4:] }}">`, "https://e.example/", `<a href="https://e.example/">`},
		{`<a href="{{ x[:4] }}{{ x[4:] }}">`, "path/a:b", `<a href="path/a:b">`},
		{`<a href="https:{{ x }}">`, "//e.example/a:b", `<a href="https://e.example/a:b">`},
		{`<a href="mailto:{{ x }}?subject={{ x }}">`, "a@b.c", `<a href="mailto:a@b.c?subject=a@b.c">`},
		// An address whose scheme the template ends.
		{`<a href="{{ x }}:{{ x }}">`, "javascript", `<a href="javascript:#">`},
		{`<a href={{ x }}:{{ x }}>`, "JavaScript", `<a href=JavaScript:#>`},
		{`<a href="{{ x[:4] }}{{ x[4:] }}:{{ x }}">`, "javascript", `<a href="javascript:#">`},
		{`<a href="{{ x }}:{{ x }}{{ x }}">`, "javascript", `<a href="javascript:##">`},
		{`<a href="{{ x }}:{{ x }}" title="{{ x }}:{{ x }}">`, "data",
			`<a href="data:#" title="data:data">`},
		{`<a href="{{ x }}&colon;{{ x }}">`, "javascript", `<a href="javascript&colon;#">`},
		{`<a href="{{ x }}s:{{ x }}">`, "http", `<a href="https:http">`},
		{`<a href="{{ x }}://{{ x }}/{{ x }}">`, "https", `<a href="https://https/https">`},
		{`<img src="{{ x[:2] }}{{ x[2:12] }}{{ x[12:] }}">`, "data:image/png;base64,AA==",
			`<img src="data:image/png;base64,AA==">`},
		{`<a href="javascript:f({{ x }})">`, "1", `<a href="javascript:f(1)">`},
		// Attributes that hold more than text or an address.
		{`<iframe srcdoc="{{ x }}">`, "<script>", `<iframe srcdoc="#">`},
		{`<iframe srcdoc="<b>{{ x }}">`, "&lt;b&gt;", `<iframe srcdoc="<b>#">`},
		{`<a onclick="f('{{ x }}')">`, "');alert(1)", `<a onclick="f('#')">`},
		{`<p style="color: {{ x }}">`, "#ff0000", `<p style="color: #ff0000">`},
		{`<p style="font: {{ x }}">`, "12.5px Größe, sans-serif",
			`<p style="font: 12.5px Größe, sans-serif">`},
		{`<p style="color: {{ x }}">`, "red; background: url(//evil.example)", `<p style="color: #">`},
		{`<p style="color: {{ x|e }}">`, `\75rl(x)`, `<p style="color: #">`},
		{`<p style="{{ x|safe }}">`, "color: red", `<p style="color: red">`},
		{`<img srcset="{{ x }} 1x, {{ x }} 2x">`, "https://e.example/a.png",
			`<img srcset="https://e.example/a.png 1x, https://e.example/a.png 2x">`},
		{`<img srcset="{{ x }}">`, "a.png 1x, javascript:alert(1) 2x", `<img srcset="#">`},
		{`<img srcset="a.png 1x, {{ x }}">`, "javascript:alert(1)", `<img srcset="a.png 1x, #">`},
		{`<a {{ x }}>`, "onclick=alert(1) b", `<a onclick&#61;alert(1)&#32;b>`},
		{`<a{{ {"title": x}|xmlattr }}>`, "a b=c", `<a title="a b=c">`},
		{`<option {{ "selected" if x }}>`, "x", `<option selected>`},
		{`<a title="{{ x }}">`, "note: this", `<a title="note: this">`},
		{`<a title={{ x }}>`, "x onmouseover=alert(1) `",
			`<a title=x&#32;onmouseover&#61;alert(1)&#32;&#96;>`},
		{`<a title=x{{ x }} b>`, ` y="z"`, `<a title=x&#32;y&#61;&#34;z&#34; b>`},
		{`<a title={{ x }} b=c>`, "", `<a title="" b=c>`},
		{`<p>1 < 2 href={{ x }}</p>`, "javascript:a b", `<p>1 < 2 href=javascript:a b</p>`},
		{`<br/>{{ x }}`, "javascript: <b>", `<br/>javascript: &lt;b&gt;`},
	} {
		got, err := render(t, c.source, map[string]any{"x": c.x}, Options{Format: FormatHTML})
		require.NoError(t, err, c.source)
		assert.Equal(t, c.want, got, "%s with %q", c.source, c.x)
	}
}
