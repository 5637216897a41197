package event_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

// FuzzDecode checks for any input that nothing panics, that encoding/json accepts whatever Decode
// accepts, that an encoded event decodes to an equal one, and that unknown fields are kept.
func FuzzDecode(f *testing.F) {
	inputs, err := filepath.Glob("testdata/envelopes/*.json")
	require.NoError(f, err)
	for _, input := range inputs {
		data, err := os.ReadFile(input)
		require.NoError(f, err)
		f.Add(data)
	}
	for _, s := range []string{
		"", "null", "[]", "{", `{"a":[{"b":[[]]}]}`, `{"a":"\ud800\udc00\u0000"}`,
		`{"metadata":{"n":-1.5E+10}}`,
		`{"event_id":"a","event_id":"b"}`, `{"cache_scope":{},"cache_scope_to_invalidate":{"x":[1]}}`,
		"{}\x00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := event.Decode(data)
		if err != nil {
			var decode *event.DecodeError
			require.ErrorAs(t, err, &decode)
			require.Nil(t, e)
			return
		}
		var object map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(data, &object))

		encoded, err := e.MarshalJSON()
		require.NoError(t, err)
		require.True(t, json.Valid(encoded))
		again, err := event.Decode(encoded)
		require.NoError(t, err)
		reencoded, err := again.MarshalJSON()
		require.NoError(t, err)
		require.Equal(t, string(encoded), string(reencoded))
		require.Equal(t, e.Validate(), again.Validate())

		var kept map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(encoded, &kept))
		for name, raw := range e.Extra {
			if name == "cache_scope" || name == "cache_scope_to_invalidate" {
				continue
			}
			require.Equal(t, compact(t, object[name]), compact(t, raw), "as it came")
			require.Equal(t, compact(t, raw), compact(t, kept[name]), "as it goes")
		}
	})
}

func compact(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, json.Compact(&b, raw))
	return b.String()
}
