package escaping_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/template/internal/escaping"
)

func TestEscapers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		format   escaping.Format
		in, want string
	}{
		{escaping.Plain, `<a href="x">'&'</a>`,
			"&lt;a href=&#34;x&#34;&gt;&#39;&amp;&#39;&lt;/a&gt;"},
		{escaping.HTML, "a < b & c", "a &lt; b &amp; c"},
		{escaping.HTML, "äß漢\x00\xff", "äß漢\x00\xff"},
		{escaping.HTML, "&amp;", "&amp;amp;"},
		{escaping.Mrkdwn, `<!channel> & "*bold*"`, `&lt;!channel&gt; &amp; "*bold*"`},
		{escaping.Mrkdwn, "", ""},
		{escaping.Markdown, "*a* [b](c) `d`", "\\*a\\* \\[b\\]\\(c\\) \\`d\\`"},
		{escaping.Markdown, "# a\n1. b", `\# a 1\. b`},
		{escaping.Markdown, "    code", "&#32;   code"},
		{escaping.Markdown, "a\n", "a&#32;"},
		{escaping.Markdown, " ", "&#32;"},
	} {
		t.Run(string(tt.format)+" "+tt.in, func(t *testing.T) {
			t.Parallel()
			got := tt.format.Escaper()([]byte("before "), tt.in)
			assert.Equal(t, "before "+tt.want, string(got))
		})
	}
	assert.Nil(t, escaping.Format("pdf").Escaper())
	assert.Equal(t, "a<b", string(escaping.AppendAsIs([]byte("a"), "<b")))
}

func TestMrkdwnText(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{"": true, "text": true, "alt_text": true, "url": false,
		"image_url": false, "value": false, "action_id": false, "block_id": false} {
		assert.Equal(t, want, escaping.MrkdwnText(key), key)
	}
}

func TestHTMLPlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, before, value, after, want string }{
		{"in text", "<p>", `<b>"x"`, "</p>", "<p>&lt;b&gt;&#34;x&#34;</p>"},
		{"in quotes", `<a title="`, `" onclick="x`, `">`, `<a title="&#34; onclick=&#34;x">`},
		{"without quotes", "<a title=", "x onclick=y", ">", "<a title=x&#32;onclick&#61;y>"},
		{"nothing, without quotes", "<a title=", "", " id=x>", `<a title="" id=x>`},
		{"after a tag", `<a title="x">`, "a b", "", `<a title="x">a b`},
		{"a link", `<a href="`, "https://example.com/?a&b", `">`,
			`<a href="https://example.com/?a&amp;b">`},
		{"a relative link", `<a href="`, "/x:y", `">`, `<a href="/x:y">`},
		{"a script", `<a href="`, "javascript:alert(1)", `">`, `<a href="#">`},
		{"a script in capitals", `<A HREF="`, "JavaScript:alert(1)", `">`, `<A HREF="#">`},
		{"a script behind blanks", `<a href="`, " java\tscript:alert(1)", `">`, `<a href="#">`},
		{"a script as an entity", `<a href="`, "javascript&#58;alert(1)", `">`, `<a href="#">`},
		{"a script without quotes", "<a href=", "javascript:alert(1)", ">", "<a href=#>"},
		{"a script the template begins", `<a href="java`, "script:alert(1)", `">`,
			`<a href="java#">`},
		{"the rest of a link", `<a href="https://example.com/`, "a:b", `">`,
			`<a href="https://example.com/a:b">`},
		{"an image", `<img src="`, "data:image/png;base64,AA", `">`,
			`<img src="data:image/png;base64,AA">`},
		{"a page as data", `<a href="`, "data:text/html,x", `">`, `<a href="#">`},
		{"several addresses", `<img srcset="`, "/a 1x, javascript:b 2x", `">`, `<img srcset="#">`},
		{"an event handler", `<a onclick="`, "alert(1)", `">`, `<a onclick="#">`},
		{"a document", `<iframe srcdoc="`, "x", `">`, `<iframe srcdoc="#">`},
		{"a style", `<p style="color: `, "#ff0000", `">`, `<p style="color: #ff0000">`},
		{"a style with a function", `<p style="background: `, "url(x)", `">`,
			`<p style="background: #">`},
		{"the name of an attribute", "<a ", "x onclick=y", ">", "<a x&#32;onclick&#61;y>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var p escaping.HTMLPlace
			b := p.AppendValue([]byte(tt.before), tt.value, false)
			assert.Equal(t, tt.want, string(append(b, tt.after...)))
		})
	}
}

// A value that is escaped already is not escaped again, but is still no way out of a tag.
func TestHTMLPlaceEscaped(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ before, value, want string }{
		{"<p>", "<b>x</b>", "<p><b>x</b>"},
		{"<a ", `title="x"`, `<a title="x"`},
		{"<a title=", "x y", "<a title=x&#32;y"},
		{`<a href="`, "javascript:x", `<a href="#`},
	} {
		var p escaping.HTMLPlace
		assert.Equal(t, tt.want, string(p.AppendValue([]byte(tt.before), tt.value, true)))
	}
}

// A scheme of two values is judged as a whole.
func TestHTMLPlaceOfTwoValues(t *testing.T) {
	t.Parallel()
	var p escaping.HTMLPlace
	b := p.AppendValue([]byte(`<a href="`), "java", false)
	b = p.AppendValue(b, "script:alert(1)", false)
	assert.Equal(t, `<a href="java#`, string(b))
}

func TestMarkdownPlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, before, value, after, want string }{
		{"in text", "a ", "*b*", "", `a \*b\*`},
		{"in code", "`a ", "*b*\n`c", "`", "`a *b* 'c`"},
		{"after code", "`a` ", "*b*", "", "`a` \\*b\\*"},
		{"in code of two backticks", "``a ` ", "*b*", " ` ``", "``a ` *b* ` ``"},
		{"in code of another paragraph", "it`s\n\n`", "*b*", "`", "it`s\n\n`*b*`"},
		{"in code after a link", "[a](http://b.c/d) `", "*b*", "`", "[a](http://b.c/d) `*b*`"},
		{"in code after an address", "http://b.c/d `", "*b*", "`", "http://b.c/d `*b*`"},
		{"in code of a cell", "| a | `", "*b*", "` |", "| a | `*b*` |"},
		{"in code after a block", "```\n`\n```\n`", "*b*", "`", "```\n`\n```\n`*b*`"},
		{"in code after a backslash", "`a\\", "*b*", "`", "`a\\*b*`"},
		{"in code after a comparison", "a < 3 `", "*b*", "`", "a < 3 `*b*`"},
		{"after a backtick that is escaped", "\\`a ", "*b*", "`", "\\`a \\*b\\*`"},
		{"code ends with the paragraph", "`a\n\n", "*b*", "`", "`a\n\n\\*b\\*`"},
		{"nothing between backticks", "``", "", "` a ``", "``` a ``"},

		{"a backtick without another", "it`s ", "*b*", "", "it`s \\*b\\*"},
		{"a run without another", "``a ", "*b*", "` c", "``a \\*b\\*` c"},
		{"code that goes on in the next line", "`a ", "*b*", "\nc`", "`a \\*b\\*\nc`"},
		{"code from the line before", "`a\nb ", "*b*", "`", "`a\nb \\*b\\*`"},
		{"paired with the line before", "it`s\nb` `", "*b*", "`", "it`s\nb` `\\*b\\*`"},
		{"indented code with a fence", "    ```\n", "*b*", "\n", "    ```\n\\*b\\*\n"},
		{"after indented code with a backtick", "    `\na ` ` ", "*b*", " `",
			"    `\na ` ` \\*b\\* `"},
		{"in HTML", "<a title='`'> ", "*b*", " `", "<a title='`'> \\*b\\* `"},
		{"in HTML that the value goes on with", "<", "*b*", " `a`", "<\\*b\\* `a`"},
		{"after a comment that goes on", "<!--\n\n`", "*b*", "`", "<!--\n\n`\\*b\\*`"},
		{"in the address of a link", "[a](`", "*b*", "`)", "[a](`\\*b\\*`)"},
		{"in the title of a link", "[a](b ')`", "*b*", "`')", "[a](b ')`\\*b\\*`')"},
		{"in an address", "http://b.c/`", "*b*", "`", "http://b.c/`\\*b\\*`"},
		{"in an address without a scheme", "(WWW.b.c/`", "*b*", "`", "(WWW.b.c/`\\*b\\*`"},
		{"in a word that is an address with what follows", "b`", "a@c.d", "`", "b`a\\@c\\.d`"},
		{"in an address in angle brackets", "<http://b.c/`> ", "*b*", " `",
			"<http://b.c/`> \\*b\\* `"},
		{"in a cell between backticks", "| `a | ", "*b*", " | `", "| `a | \\*b\\* | `"},
		{"the end of a cell in code", "| `", "a | *b*", "` |", "| `a \\| \\*b\\*` |"},
		{"after a carriage return", "`a\r`", "*b*", "`", "`a\r`\\*b\\*`"},

		{"in a block", "```\n", "*b*\n```\nc", "", "```\n*b*\n    ```\nc"},
		{"at the beginning of a block", "```\n", "```\nc", "", "```\n    ```\nc"},
		{"in a block of tildes", "~~~ go\nx = ", "*b*\r\n  ~~~", "", "~~~ go\nx = *b*\n    ~~~"},
		{"in a block that ends with the line end of Windows", "```\r\n```\r\n", "*b*", "",
			"```\r\n```\r\n\\*b\\*"},
		{"after a block", "```\na\n```\n", "*b*", "", "```\na\n```\n\\*b\\*"},
		{"a shorter fence ends no block", "````\n```\n", "*b*", "", "````\n```\n*b*"},
		{"a part of a fence", "```\n", "``", "", "```\n    ``"},
		{"the rest of a fence", "```\n``", "`\n*b*", "", "```\n``\\` \\*b\\*"},
		{"a line that may end the block", "```\n``` a\n", "*b*", "", "```\n``` a\n\\*b\\*"},
		{"in a block in a list", "- a\n  ```\n  ", "*b*\n\n*c*", "",
			"- a\n  ```\n  \\*b\\*  \\*c\\*"},
		{"after a block in a list", "- a\n  ```\n  ```\n", "*b*", "",
			"- a\n  ```\n  ```\n\\*b\\*"},
		{"a fence in HTML", "<pre>\n\n```\n", "*b*", "", "<pre>\n\n```\n\\*b\\*"},
		{"a carriage return in a block", "```\na\r```\n", "*b*", "",
			"```\na\r```\n\\*b\\*"},

		{"after a backslash", "a\\", "*b*", "", "a\\\\\\*b\\*"},
		{"after a backslash that is escaped", "a\\\\", "*b*", "", "a\\\\\\*b\\*"},
		{"nothing after a backslash", "a\\", "", "", "a\\"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var p escaping.MarkdownPlace
			b := p.AppendValue([]byte(tt.before), tt.value)
			assert.Equal(t, tt.want, string(p.Finish(append(b, tt.after...))))
		})
	}
}

// Several values in code, and values in text between them.
func TestMarkdownPlaceOfSeveralValues(t *testing.T) {
	t.Parallel()
	var p escaping.MarkdownPlace
	var b []byte
	for _, text := range []string{"`", " ", "` ", " ``", "", "`` `", "` `", ""} {
		b = p.AppendValue(append(b, text...), "a_`")
	}
	assert.Equal(t, "`a_' a_'` a\\_\\` ``a_'a_'`` `a_'` `a\\_\\`a\\_\\`", string(p.Finish(b)))
}

// What is put into another output may stand anywhere in it, so nothing in it is code.
func TestMarkdownPlaceInAPart(t *testing.T) {
	t.Parallel()
	for before, want := range map[string]string{"`": "`\\*b\\*`", "```\n": "```\n\\*b\\*`",
		"a\\": "a\\\\\\*b\\*`"} {
		p := escaping.MarkdownPlace{Part: true}
		b := p.AppendValue([]byte(before), "*b*")
		assert.Equal(t, want, string(p.Finish(append(b, '`'))))
	}
}
