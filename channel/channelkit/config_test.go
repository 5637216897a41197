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
	for _, junk := range []string{``, `null`, `[]`, `{"a":1}{}`} {
		r := channelkit.ReadConfig(json.RawMessage(junk), nil)
		assert.EqualError(t, r.Problems.Err(), "invalid: must be a JSON object", "%q", junk)
		assert.False(t, r.IsObject())
	}
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
