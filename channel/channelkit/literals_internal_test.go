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
		`it\'s 5`, "xoxb-6666"}, r.Literals("o"))
	assert.Empty(t, r.Literals("absent"))

	source, err := json.Marshal(`[{"xoxb-name": "xoxb-0000", "a": {{ ("xoxb-1111" ~ x)|tojson }}, "b":` +
		` "xoxb-2222 {{ x }} and \"xoxb-3333", "many": 123456789, "other": true}]`)
	require.NoError(t, err)
	r = ReadConfig([]byte(`{"t":`+string(source)+`}`), nil)
	assert.Equal(t, []string{"xoxb-name", "xoxb-0000", "xoxb-1111", "xoxb-2222", `and \"xoxb-3333`},
		r.JSONLiterals("t"))
	for _, broken := range []string{"{{", "{{ '", `{{ "\`, `"\`, "{", "{%", "}}", `{{ 'a`} {
		source, err := json.Marshal(strings.Repeat("x", 9) + broken)
		require.NoError(t, err)
		r := ReadConfig([]byte(`{"t":`+string(source)+`}`), nil)
		assert.NotEmpty(t, r.Literals("t"), broken)
		r.JSONLiterals("t")
	}
}
