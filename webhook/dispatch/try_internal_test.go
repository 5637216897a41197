package dispatch

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
)

// However little an error says, the history says what failed.
func TestReasonIsNeverEmpty(t *testing.T) {
	t.Parallel()
	for status := range 1000 {
		if err := channel.Classify(status, nil, time.Time{}); err != nil {
			var a webhook.Attempt
			recordFailure(&a, err)
			assert.NotEmpty(t, a.Error, status)
			assert.NotEmpty(t, a.Class, status)
		}
	}
	for want, err := range map[string]error{
		"the endpoint answered 503 Service Unavailable": channel.Classify(503, nil,
			time.Time{}),
		"the endpoint answered 799": channel.Classify(799, nil,
			time.Time{}),
		"the endpoint redirects with 302 Found, which is not followed": channel.Classify(302, nil,
			time.Time{}),
		"the attempt failed": &channel.Error{},
		"no complete answer in time": &channel.Error{Class: channel.ClassTimeout, StatusCode: 200,
			Err: errors.New("no complete answer in time")},
	} {
		var a webhook.Attempt
		recordFailure(&a, err)
		assert.Equal(t, want, a.Error)
	}
}
