package channelkit

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLiterals(t *testing.T) {
	t.Parallel()
	r := ReadConfig([]byte(`{"o":{"a":"xoxb-0000","xoxb-name":["xoxb-1111 {{ x }} and xoxb-2222",
		"{{ 'xoxb-3333' ~ x|default(\"xoxb-4444\") }}{% if x == 'it\\'s 5' %}xoxb-6666{% endif %}{# xoxb #}short"],
		"n":123456789,"b":true}}`), nil)
	assert.Equal(t, []string{"xoxb-0000", "xoxb-1111", "and xoxb-2222", "xoxb-3333", "xoxb-4444",
		`it's 5`, "xoxb-6666"}, r.Literals("o"))
	assert.Empty(t, r.Literals("absent"))

	source, err := json.Marshal(`[{"xoxb-name": "xoxb-0000", "a": {{ ("xoxb-1111" ~ x)|tojson }}, "b":` +
		` "xoxb-2222 {{ x }} and \"xoxb-3333", "many": 123456789, "other": true}]`)
	require.NoError(t, err)
	r = ReadConfig([]byte(`{"t":`+string(source)+`}`), nil)
	assert.Equal(t, []string{"xoxb-name", "xoxb-0000", "xoxb-1111", "xoxb-2222", `and "xoxb-3333`},
		r.JSONLiterals("t"))
	for _, broken := range []string{"{{", "{{ '", `{{ "\`, `"\`, "{", "{%", "}}", `{{ 'a`} {
		source, err := json.Marshal(strings.Repeat("x", 9) + broken)
		require.NoError(t, err)
		r := ReadConfig([]byte(`{"t":`+string(source)+`}`), nil)
		assert.NotEmpty(t, r.Literals("t"), broken)
		r.JSONLiterals("t")
	}
}

// Literals are found as templates read them: what is in a comment or a raw block is no tag, and what
// looks like the end of a tag may stand in brackets.
func TestLiteralsAreReadAsTemplatesDo(t *testing.T) {
	t.Parallel()
	for source, want := range map[string][]string{
		"{# don't ping #}use token xoxb-0000 for {{ x }}": {"use token xoxb-0000 for"},
		`{#- a "b -#}xoxb-0000{# ' #}xoxb-1111`:           {"xoxb-0000", "xoxb-1111"},
		"{# {{ 'xoxb-none' #}xoxb-0000":                   {"xoxb-0000"},
		"{% raw %}xoxb-0000 {{ don't {% x %}{% endraw %}xoxb-1111": {
			"xoxb-0000 {{ don't {% x %}", "xoxb-1111"},
		"{%- raw -%} xoxb-0000 {%+endraw%}{{ 'xoxb-1111' }}": {"xoxb-0000", "xoxb-1111"},
		"{{ {'a': {'b': 1}}['xoxb-0000'] }}it's xoxb-1111":   {"xoxb-0000", "it's xoxb-1111"},
		"{% if x['%}'] == \"}}\" %}don't show xoxb-0000":     {"don't show xoxb-0000"},
		`{{ 'it\'s 0000' ~ "\"xoxb\x2d1111\u002D\\" ~ 'C:\data\q' }}`: {
			"it's 0000", `"xoxb-1111-\`, `C:\data\q`},
		"xoxb-0000\r\nxoxb-1111{{ 'xoxb-\\\n2222' }}{% raw %}xoxb-3333{{ ": {
			"xoxb-0000\nxoxb-1111", "xoxb-2222", "xoxb-3333{{"},
	} {
		quoted, err := json.Marshal(source)
		require.NoError(t, err)
		r := ReadConfig([]byte(`{"t":`+string(quoted)+`}`), nil)
		assert.Equal(t, want, r.Literals("t"), source)
	}
}
