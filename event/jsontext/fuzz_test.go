package jsontext_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event/jsontext"
)

// FuzzReader checks that a Reader and encoding/json accept the same texts and read the same values
// from them, except for depth and for names that occur twice.
func FuzzReader(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-0,0.5e+7,"\u00e9\n"],"b":{"c":null}}`, "01", "1.", `"\x"`, "tru", "[1,]", `{"a"}`,
		" [ ] ", "\"\t\"", "-", "1e", "\"\\", "", "[[[", `{"a":1,"a":2}`, "[] x",
		"\"\xff\xfe\\n\xe2\x82\"",
		`"\ud800\udc00 \ud800 \udc00\ud800\u0041"`, `{"a":true,"":false}`, `{a:1}`, `"\u12"`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		const maxDepth = 64
		r := jsontext.NewReader(text, maxDepth)
		err := r.Skip()
		if err == nil && !r.AtEnd() {
			err = r.Fail(jsontext.RuleSyntax)
		}
		if err != nil {
			var invalid *jsontext.Error
			require.ErrorAs(t, err, &invalid)
			require.LessOrEqual(t, invalid.Offset, len(text))
			require.LessOrEqual(t, len(invalid.Path()), maxDepth+1)
			require.Equal(t, invalid.Rule == jsontext.RuleDepth, json.Valid(text), invalid.Rule)
			return
		}
		require.True(t, json.Valid(text), "accepted")

		r = jsontext.NewReader(text, maxDepth)
		raw, err := r.Raw()
		require.NoError(t, err)
		require.Equal(t, string(bytes.Trim(text, " \t\r\n")), string(raw))

		value, err := jsontext.NewReader(text, maxDepth).Value()
		if err != nil {
			var invalid *jsontext.Error
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, jsontext.RuleDuplicate, invalid.Rule)
			return
		}
		var want any
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		require.NoError(t, d.Decode(&want))
		require.Equal(t, want, value)
	})
}

// FuzzAppendString checks that encoding/json reads what AppendString writes, and writes the same
// but for the characters that it alone escapes.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "a", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "é😀\u2028", "\xff\xe2\x82"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		written := jsontext.AppendString([]byte("x"), s)[1:]
		var got string
		require.NoError(t, json.Unmarshal(written, &got))
		require.Equal(t, string(bytes.ToValidUTF8([]byte(got), nil)), got)

		encoded, err := json.Marshal(s)
		require.NoError(t, err)
		var want string
		require.NoError(t, json.Unmarshal(encoded, &want))
		require.Equal(t, want, got)

		read, err := jsontext.NewReader(written, 0).Text()
		require.NoError(t, err)
		require.Equal(t, want, string(read))
	})
}
