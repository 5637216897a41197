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
	_, err := (&Progress{}).Settle(all, nil,
		[]Failure{{"a", &channel.Error{Action: channel.Permanent}},
			{"b", &channel.Error{Action: channel.Retry}}})
	assert.True(t, channel.AsError(err).Retryable())
	_, err = (&Progress{}).Settle(all, nil,
		[]Failure{{"a", &channel.Error{Action: channel.Retry}},
			{"b", &channel.Error{Action: channel.Permanent}}})
	assert.True(t, channel.AsError(err).Retryable())
	_, err = (&Progress{}).Settle(all, nil,
		[]Failure{{"a", &channel.Error{Action: channel.Permanent}},
			{"b", &channel.Error{Action: channel.Permanent}}})
	assert.False(t, channel.AsError(err).Retryable())
}

// What became of recipients that are no longer configured does not count.
func TestProgressOfOtherRecipients(t *testing.T) {
	t.Parallel()
	refused, err := ReadProgress([]byte(`{"refused":["a"]}`)).Settle([]string{"b"}, []string{"b"}, nil)
	assert.NoError(t, err)
	assert.Equal(t, "reached 1 of 1", refused.Response)
	assert.JSONEq(t, `{"reached":["b"]}`, string(refused.Progress))

	_, err = ReadProgress([]byte(`{"refused":["a"]}`)).Settle([]string{"b"}, nil,
		[]Failure{{"b", &channel.Error{Action: channel.Retry, Class: channel.ClassTimeout}}})
	assert.Equal(t, channel.ClassTimeout, channel.AsError(err).Class, "its own error says it best")

	replaced, err := ReadProgress([]byte(`{"reached":["a"]}`)).Settle([]string{"b", "c"}, []string{"b"},
		[]Failure{{"c", &channel.Error{Action: channel.Retry}}})
	assert.ErrorContains(t, err, "1 of 2 recipients not reached")
	assert.Equal(t, "reached 1 of 2\nc:", replaced.Response)
	assert.JSONEq(t, `{"reached":["a","b"]}`, string(replaced.Progress), "a may come back")

	_, err = ReadProgress([]byte(`{"refused":["a"]}`)).Settle([]string{"a", "b"}, []string{"b"}, nil)
	assert.ErrorContains(t, err, "1 of 2 recipients not reached", "a is configured")
}
