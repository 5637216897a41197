package dispatch

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

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

// That an event expires is said also behind an error that is as long as one may be.
func TestThatItExpiresIsNeverCutOff(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", strings.Repeat("x", maxExcerpt), strings.Repeat("é", maxExcerpt)} {
		attempt := &webhook.Attempt{Error: text}
		resultOf(&task{}, attempt, decision{expires: true})
		assert.True(t, strings.HasSuffix(attempt.Error, expiresBefore), len(text))
		assert.LessOrEqual(t, len(attempt.Error), maxExcerpt)
		assert.True(t, utf8.ValidString(attempt.Error))
	}
}
