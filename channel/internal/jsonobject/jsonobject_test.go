package jsonobject_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/internal/jsonobject"
)

func TestRead(t *testing.T) {
	t.Parallel()
	members, err := jsonobject.Read([]byte(` {"b": [1, 2.50], "a":{"x":null}} `))
	require.NoError(t, err)
	assert.Equal(t, []jsonobject.Member{{Name: "b", Value: json.RawMessage(`[1, 2.50]`)},
		{Name: "a", Value: json.RawMessage(`{"x":null}`)}}, members)

	members, err = jsonobject.Read([]byte(`{}`))
	require.NoError(t, err)
	assert.Empty(t, members)

	for _, bad := range []string{``, `null`, `7`, `[]`, `"x"`, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`,
		`{"a":1} x`, `{"a":1}{}`, `{a:1}`} {
		_, err := jsonobject.Read([]byte(bad))
		assert.ErrorIs(t, err, jsonobject.ErrNoObject, "%q", bad)
	}

	members, err = jsonobject.Read([]byte(`{"url":1,"\u0075rl":2,"x":3,"x":4}`))
	var duplicate *jsonobject.DuplicateError
	require.ErrorAs(t, err, &duplicate)
	assert.Equal(t, "url", duplicate.Name, "an escape makes no other name")
	assert.Len(t, members, 2)
	assert.Equal(t, `1`, string(members[0].Value), "the first one stays")
	assert.NotContains(t, err.Error(), "url")
}

// What encoding/json takes for an object is one here, and nothing else.
func FuzzRead(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1}`, `{"a":1,"a":2}`, `[`, `{"a":{"b":[]}} `, `{"a":1}x`,
		"{\"\xff\":1}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var m map[string]json.RawMessage
		want := json.Unmarshal([]byte(s), &m) == nil && m != nil
		members, err := jsonobject.Read([]byte(s))
		if got := !errors.Is(err, jsonobject.ErrNoObject); got != want {
			t.Fatalf("%q: an object: %v, not %v", s, got, want)
		}
		if want && len(members) != len(m) {
			t.Fatalf("%q: %d members, not %d", s, len(members), len(m))
		}
	})
}
