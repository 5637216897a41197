package webhook_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

type pagerConfig struct {
	Number   string          `json:"number"`
	Template json.RawMessage `json:"template,omitempty"`
	Volume   float64
	Hidden   func() `json:"-"`
}

func (pagerConfig) ChannelName() string { return "pager" }

type failingConfig struct{}

func (failingConfig) ChannelName() string          { return "failing" }
func (failingConfig) MarshalJSON() ([]byte, error) { return nil, errors.New("sesame") }

// A configuration of which no JSON can be made is refused by its field, and not
// as an empty one.
func TestVia(t *testing.T) {
	t.Parallel()
	c := webhook.Via(pagerConfig{Number: "+1"})
	assert.Equal(t, webhook.ChannelConfig{Channel: "pager",
		Configs: json.RawMessage(`{"number":"+1","Volume":0}`)}, c)
	assert.Equal(t, c, webhook.Via(&pagerConfig{Number: "+1"}))

	sub := &webhook.Subscription{
		ID: webhook.NewID(), Name: "x", EventTypes: []event.Pattern{"*"},
		Channels: []webhook.ChannelConfig{
			c,
			webhook.Via(pagerConfig{Template: json.RawMessage(`{"token":"sesame"`), Volume: math.NaN()}),
			webhook.Via(failingConfig{}),
		},
	}
	for _, s := range []*webhook.Subscription{sub, sub.Clone()} {
		err := s.Validate()
		var invalid *event.ValidationError
		require.ErrorAs(t, err, &invalid)
		const rule = "cannot be written as JSON"
		assert.Equal(t, []event.Problem{
			{Field: "channels[1].configs.template", Code: event.CodeInvalid, Rule: rule},
			{Field: "channels[1].configs.Volume", Code: event.CodeInvalid, Rule: rule},
			{Field: "channels[2].configs", Code: event.CodeInvalid, Rule: rule},
		}, invalid.Problems)
		assert.NotContains(t, err.Error(), "sesame")

		_, err = json.Marshal(s)
		require.ErrorAs(t, err, &invalid, "a client does not send it either")
		assert.Contains(t, err.Error(), "channels[1].configs.template")
	}
}
