package syntax_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/syntax"
)

// spell writes segments in one line: text as it is, [print], and <tag:text>.
func spell(segments []syntax.Segment) (s string) {
	for _, g := range segments {
		switch g.Kind {
		case syntax.SegmentText:
			s += g.Text
		case syntax.SegmentPrint:
			s += "[" + g.Text + "]"
		case syntax.SegmentTag:
			s += "<" + g.Name + ":" + g.Text + ">"
		}
	}
	return s
}

func TestScan(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, source, want string }{
		{"nothing", "", ""},
		{"text", "a { b } c", "a { b } c"},
		{"a print", "a {{ b }} c", "a [ b ] c"},
		{"a tag", "{% if a %}b{% endif %}", "<if: a >b<endif: >"},
		{"a comment", "a{# {{ b }} #}c", "ac"},
		{"an end in a string", `{{ "}}" }}`, `[ "}}" ]`},
		{"an end in brackets", "{{ {'a': {}} }}", "[ {'a': {}} ]"},
		{"less white space", "a \n{{- b -}}\n c", "a[ b ]c"},
		{"white space kept", "a {%+ if b +%} c", "a <if: b > c"},
		{"a comment with less white space", "a {#- b -#} c", "ac"},
		{"raw", "{% raw %}{{ a }}{% endraw %}", "{{ a }}"},
		{"raw with less white space", "{% raw -%} {{ a }} {%- endraw -%} b", "{{ a }}b"},
		{"raw at the end", "{% raw %}", ""},
		{"line ends", "a\r\nb\rc\n", "a\nb\nc"},
		{"one line end is dropped", "a\n\n", "a\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			segments, err := syntax.Scan(tt.source)
			require.NoError(t, err)
			assert.Equal(t, tt.want, spell(segments))
		})
	}
}

func TestScanErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		source    string
		line, col int
		msg, near string
	}{
		{"a\n {{ b", 2, 2, `the tag is not closed, expected "}}"`, "b"},
		{"{% if b", 1, 1, `the tag is not closed, expected "%}"`, "b"},
		{"{{ (b }}", 1, 7, `unexpected "}", expected ")"`, "}}"},
		{"a{# b", 1, 2, "the comment is not closed", ""},
		{"{% raw %} b", 1, 1, "the raw block is not closed, expected {% endraw %}", ""},
		{"{% %}", 1, 4, "expected the name of a tag", "{% %}"},
		{"{{ 'b }}", 1, 4, "string not closed", "'b }}"},
		{"{{ ä ? }}", 1, 6, "unexpected character", "? }}"},
		{"\xff", 0, 0, "the source is not UTF-8", ""},
	} {
		t.Run(tt.source, func(t *testing.T) {
			t.Parallel()
			_, err := syntax.Scan(tt.source)
			require.Equal(t, &fault.Error{Kind: fault.ErrSyntax, Line: tt.line, Column: tt.col,
				Msg: tt.msg, Near: tt.near}, err)
		})
	}
}

func TestPlacesOfSegments(t *testing.T) {
	t.Parallel()
	segments, err := syntax.Scan("ä\nb{{ c }}{%  set caller = varargs %}{{ x.kwargs }}")
	require.NoError(t, err)
	require.Len(t, segments, 4)
	assert.Equal(t, fault.Pos{Line: 1, Col: 1}, segments[0].Pos)
	assert.Equal(t, fault.Pos{Line: 2, Col: 4}, segments[1].Pos)
	assert.Equal(t, fault.Pos{Line: 2, Col: 13}, segments[2].Tag)
	assert.EqualValues(t, syntax.UsesCaller|syntax.UsesVarargs, segments[2].Uses)
	assert.Zero(t, segments[3].Uses, "an attribute is no special name")
	assert.Equal(t, fault.Pos{Line: 2, Col: 2}, syntax.PosOf("ä\näb", len("ä\nä")))
}

func TestTokens(t *testing.T) {
	t.Parallel()
	type token = syntax.Token
	name := func(s string) token { return token{Kind: syntax.TokenName, Text: s} }
	operator := func(s string) token { return token{Kind: syntax.TokenOperator, Text: s} }
	text := func(s string) token { return token{Kind: syntax.TokenString, Text: s} }
	integer := func(i int64) token { return token{Kind: syntax.TokenInteger, Value: i} }
	float := func(f float64) token { return token{Kind: syntax.TokenFloat, Value: f} }
	for _, tt := range []struct {
		source string
		want   []token
	}{
		{"", nil},
		{" a_1 ü ", []token{name("a_1"), name("ü")}},
		{"a//b**c", []token{name("a"), operator("//"), name("b"), operator("**"), name("c")}},
		{"<=>=!===", []token{operator("<="), operator(">="), operator("!="), operator("==")}},
		{"0 00 1_000 0xFf 0o17 0b_11", []token{integer(0), integer(0), integer(1000), integer(255),
			integer(15), integer(3)}},
		{"07", []token{integer(0), integer(7)}},
		{"9223372036854775807", []token{integer(9223372036854775807)}},
		{"1.5 2e3 1_0.5e-1", []token{float(1.5), float(2000), float(1.05)}},
		{"1.a", []token{integer(1), operator("."), name("a")}},
		{"a.1.2", []token{name("a"), operator("."), integer(1), operator("."), integer(2)}},
		{`"a" 'b"' ""`, []token{text("a"), text(`b"`), text("")}},
		{`'\n\x41\u00e9\U0001F600\101\'\q'`, []token{text("\nAé😀A'\\q")}},
		{"'a\\\nb'", []token{text("ab")}},
	} {
		t.Run(tt.source, func(t *testing.T) {
			t.Parallel()
			tokens, err := syntax.Tokens(tt.source, fault.Pos{Line: 1, Col: 1})
			require.NoError(t, err)
			var got []token
			for _, token := range tokens[:len(tokens)-1] {
				got = append(got, syntax.Token{Kind: token.Kind, Text: token.Text, Value: token.Value})
			}
			assert.Equal(t, tt.want, got)
			assert.Equal(t, syntax.TokenEnd, tokens[len(tokens)-1].Kind)
		})
	}
}

func TestTokenErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		source string
		col    int
		msg    string
	}{
		{"a ?", 7, "unexpected character"},
		{"a)", 6, `unexpected ")"`},
		{"(a]", 7, `unexpected "]", expected ")"`},
		{"9223372036854775808", 5, "integer beyond 64 bits"},
		{"'a", 5, "string not closed"},
		{`'a\'`, 5, "string not closed"},
		{`'\x4'`, 5, "truncated escape in a string"},
		{`'\xzz'`, 5, "bad escape in a string"},
		{`'\U00110000'`, 5, "bad escape in a string"},
		{`'\N{DIGIT ONE}'`, 5, `\N{…} is not supported, use \u`},
	} {
		t.Run(tt.source, func(t *testing.T) {
			t.Parallel()
			tokens, err := syntax.Tokens(tt.source, fault.Pos{Line: 3, Col: 5})
			var e *fault.Error
			require.ErrorAs(t, err, &e)
			require.ErrorIs(t, err, fault.ErrSyntax)
			assert.Equal(t, tt.msg, e.Msg)
			assert.Equal(t, []int{3, tt.col}, []int{e.Line, e.Column})
			assert.Equal(t, fault.Pos{Line: 3, Col: tt.col}, tokens[len(tokens)-1].Pos)
		})
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	tokens, err := syntax.Tokens("a + 'b' 1 1.5", fault.Pos{Line: 1, Col: 1})
	require.NoError(t, err)
	var all []string
	for _, token := range tokens {
		all = append(all, token.Describe())
	}
	assert.Equal(t,
		[]string{`"a"`, `"+"`, "a string", "a number", "a number", "the end of the tag"}, all)
	assert.True(t, tokens[1].Is(syntax.TokenOperator, "+"))
	assert.False(t, tokens[0].Is(syntax.TokenString, "a"))
}

func TestHasValue(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"x = 1": true, "a, b = c": true, "ns.x = 1": true,
		"x": false, "": false, "x | replace('=', a=1)": false, "x == 1": false, "? =": false} {
		assert.Equal(t, want, syntax.HasValue(text), text)
	}
}

func TestNextDelimiter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"": 0, "a": 1, "{": 1, "{a}": 3, "a{{": 1, "a{%": 1,
		"a{#": 1, "{ {{": 2, "{{{": 0, "a{": 2} {
		assert.Equal(t, want, syntax.NextDelimiter(text), text)
	}
}
