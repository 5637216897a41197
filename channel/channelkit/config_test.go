package channelkit_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
)

// Of two fields of one name another reader may take the other one.
func TestReadConfigRefusesDuplicates(t *testing.T) {
	t.Parallel()
	r := channelkit.ReadConfig(
		json.RawMessage(`{"url":"https://sesame.example","url":"https://b.example"}`), nil)
	assert.EqualError(t, r.Problems.Err(), "invalid: url: must not be there twice")
	assert.True(t, r.IsObject())
	for _, junk := range []string{``, `null`, `7`, `[]`, `"x"`, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`,
		`{"a":1} x`, `{"a":1}{}`, `{a:1}`, `{"a":1,"a":2`} {
		r := channelkit.ReadConfig(json.RawMessage(junk), nil)
		assert.EqualError(t, r.Problems.Err(), "invalid: must be a JSON object", "%q", junk)
		assert.False(t, r.IsObject())
	}
	r = channelkit.ReadConfig(json.RawMessage(`{"url":1,"\u0075rl":2,"x":3,"x":4}`), nil)
	assert.EqualError(t, r.Problems.Err(), "invalid: url: must not be there twice",
		"an escape makes no other name, and the first is reported")
	value, ok := r.Get("url")
	assert.True(t, ok)
	assert.Equal(t, `1`, string(value), "the first one stays")
}

// The limit of a line is in characters, as its rule says.
func TestLineCountsCharacters(t *testing.T) {
	t.Parallel()
	r := channelkit.ReadConfig(json.RawMessage(`{"a":"äöü€","b":"äöü€☕"}`), nil)
	assert.Equal(t, "äöü€", r.Line("a", 4))
	assert.NoError(t, r.Problems.Err())
	r.Line("b", 4)
	assert.EqualError(t, r.Problems.Err(), "invalid: b: must be at most 4 characters")
}

// What encoding/json takes for an object is one here, and nothing else.
func FuzzReadConfig(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1}`, `{"a":1,"a":2}`, `[`, `{"a":{"b":[]}} `, `{"a":1}x`,
		"{\"\xff\":1}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var m map[string]json.RawMessage
		want := json.Unmarshal([]byte(s), &m) == nil && m != nil
		r := channelkit.ReadConfig(json.RawMessage(s), nil)
		if r.IsObject() != want {
			t.Fatalf("%q: an object: %v, not %v", s, r.IsObject(), want)
		}
		for name, value := range m {
			if _, ok := r.Get(name); ok != (string(value) != "null") && r.Problems.Err() == nil {
				t.Fatalf("%q: no field %q", s, name)
			}
		}
	})
}

func TestFieldsOf(t *testing.T) {
	t.Parallel()
	type config struct {
		URL      string            `json:"url" channel:"target"`
		Hook     channel.Secret    `json:"hook,omitempty" channel:"target"`
		Tokens   []channel.Secret  `json:"tokens,omitempty"`
		Headers  map[string]string `json:"headers" channel:"secret"`
		Plain    []string
		Left     string `json:"-"`
		internal string
	}
	_ = config{}.internal
	assert.Equal(t, []channel.Field{
		{Name: "url", Target: true}, {Name: "hook", Secret: true, Target: true},
		{Name: "tokens", Secret: true},
		{Name: "headers", Secret: true}, {Name: "Plain"},
	}, channelkit.FieldsOf(config{}))
	assert.NotNil(t, channelkit.FieldsOf(struct{}{}),
		"a configuration without fields has none, which is not that it does not say")
}
