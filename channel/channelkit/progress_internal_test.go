package channelkit

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/channel"
)

func TestProgressSettle(t *testing.T) {
	t.Parallel()
	all := []string{"a", "b"}
	p := ReadProgress([]byte(`{"reached":["a"],"refused":["b"],"later":1}`))
	assert.Empty(t, p.Remaining(all))
	assert.Equal(t, all, ReadProgress(nil).Remaining(all))
	assert.Equal(t, all, ReadProgress([]byte(`{"reached":7}`)).Remaining(all))
	assert.Nil(t, (&Progress{}).After(nil))
	assert.JSONEq(t, `{}`, string(ReadProgress([]byte(`{"refused":["b"]}`)).After(nil)),
		"what is stored is replaced")
	assert.JSONEq(t, `{"refused":["b"]}`,
		string(ReadProgress([]byte(`{"refused":["b"]}`)).After(context.Canceled)), "a shutdown is no end")

	// A recipient that is gone for good does not end what another waits for.
	_, err := (&Progress{}).Settle(2, nil,
		[]Failure{{"a", &channel.Error{Action: channel.Permanent}},
			{"b", &channel.Error{Action: channel.Retry}}})
	assert.True(t, channel.AsError(err).Retryable())
	_, err = (&Progress{}).Settle(2, nil,
		[]Failure{{"a", &channel.Error{Action: channel.Retry}},
			{"b", &channel.Error{Action: channel.Permanent}}})
	assert.True(t, channel.AsError(err).Retryable())
	_, err = (&Progress{}).Settle(2, nil,
		[]Failure{{"a", &channel.Error{Action: channel.Permanent}},
			{"b", &channel.Error{Action: channel.Permanent}}})
	assert.False(t, channel.AsError(err).Retryable())
}
