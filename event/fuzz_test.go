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

// FuzzEncode checks that Decode accepts whatever MarshalJSON makes, with any text, name and JSON at
// each place where a caller can put one.
func FuzzEncode(f *testing.F) {
	for _, s := range []string{
		"", "1", "null", "{}", `{"a":1,"a":2}`, `[{"\ud800":1,"\ud801":2}]`, `{"scope":"key","keys":["a"]}`,
		`{"scope":1}`, "\xff", `"\xff"`, " { } ", `{"keys":null,"x":{"a":1,"a":1}}`, "cache_scope",
	} {
		f.Add("a", "b", s)
		f.Add("\xff", "\xfe", s)
		f.Add(s, "cache_scope", s)
		f.Add("id", "cache_scope_to_invalidate", s)
	}
	f.Fuzz(func(t *testing.T, name, other, text string) {
		raw := json.RawMessage(text)
		extra := map[string]json.RawMessage{name: raw, other: raw}
		texts := map[string]any{name: text, other: []any{text, []string{text}}}
		for _, e := range []event.Event{
			{ID: text, Type: text, Namespace: text, Actor: text, Version: text},
			{NamespaceID: text, Collection: text, IndexSignature: text},
			{Subject: event.Subject{Type: text, Extra: extra}},
			{Subject: event.Subject{ID: text}, CacheScope: &event.CacheScope{Kind: event.ScopeKind(text),
				Keys: []string{text}, CollectionID: text, Namespace: text, Extra: extra}},
			{Extra: extra}, {NamespaceID: "ns_1", Extra: extra, CacheScope: event.KeyScope(text)},
			{Metadata: texts}, {Metadata: map[string]any{"m": texts}},
			{Metadata: map[string]any{name: raw}}, {Metadata: map[string]any{"n": json.Number(text)}},
			{Metadata: map[string]any{"m": map[string]int{name: 1, other: 2}}},
			{Metadata: map[string]any{"m": map[string]json.RawMessage{name: raw}}},
		} {
			encoded, err := e.MarshalJSON()
			if err != nil {
				var invalid *event.ValidationError
				require.ErrorAs(t, err, &invalid)
				continue
			}
			_, err = event.Decode(encoded)
			require.NoError(t, err, "%s", encoded)
		}
	})
}

func compact(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, json.Compact(&b, raw))
	return b.String()
}
