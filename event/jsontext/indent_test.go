package jsontext_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event/jsontext"
)

// What is nested deep would become thousands of times as long. It stays as it is.
func TestIndentIsBounded(t *testing.T) {
	t.Parallel()
	const depth, elements = 9_999, 20_000
	for name, text := range map[string]string{
		"elements": strings.Repeat("[", depth) + strings.Repeat("1,", elements) + "1" +
			strings.Repeat("]", depth),
		"members": strings.Repeat(`{"a":`, depth) + "[" + strings.Repeat(`"",`, elements) + "1]" +
			strings.Repeat("}", depth),
		"lists that are not empty": strings.Repeat("[", depth-1) + strings.Repeat("[1],", elements) +
			"1" + strings.Repeat("]", depth-1),
		"as deep as events are": strings.Repeat("[", 64) + strings.Repeat("1,", 500_000) + "1" +
			strings.Repeat("]", 64),
	} {
		out, err := jsontext.Indent([]byte(text), "  ")
		require.NoError(t, err, name)
		assert.Equal(t, text, string(out), name)
	}
	_, err := jsontext.Indent([]byte(strings.Repeat("[", depth)+strings.Repeat("1,", elements)), "  ")
	require.Error(t, err, "that is no JSON")
}

// FuzzIndent compares Indent with json.Indent, which bounds nothing.
func FuzzIndent(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-0,0.5e+7,"\u00e9\n"],"b":{"c":null}}`, ` [ ] `, `[[],{},[{}],{"":[]}]`, `"\"[,"`,
		`[1,]`, `]`, "", `[1] x`, "{\"a\\\\\" : \"{[,:]}\" , \"b\":\"\\\"\"}\n", `"\`, "[[[[1,2,3],4],5],6]",
		strings.Repeat("[", 300) + strings.Repeat("1,", 900) + "1" + strings.Repeat("]", 300),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want bytes.Buffer
		for _, step := range []string{"  ", "    "} {
			want.Reset()
			wantErr := json.Indent(&want, text, "", step)
			got, err := jsontext.Indent(text, step)
			require.Equal(t, wantErr == nil, err == nil, "%v", err)
			switch {
			case err != nil:
			case want.Len() > 4*len(text)+64<<10:
				require.Equal(t, string(text), string(got))
			default:
				require.Equal(t, want.String(), string(got))
			}
		}
	})
}
