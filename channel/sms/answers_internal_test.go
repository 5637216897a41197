package sms

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
)

// What a service answers is outside of our control: it never causes a panic, and
// never gets into an error as it is.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{`{"sid":"SM1","error_code":null}`, `{"code":21610}`, "{", "\xff"} {
		f.Add(200, s)
		f.Add(429, s)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		reply := channelkit.HTTPResponse{StatusCode: status, Header: http.Header{"Retry-After": {body}},
			Body: []byte(body)}
		_, twilio := classifyTwilio(reply, time.Unix(0, 0))
		for _, err := range []error{twilio} {
			if err == nil {
				continue
			}
			text := err.Error()
			if len(text) > 200 || strings.ContainsAny(text, "\r\n\x00\x1b") {
				t.Fatalf("status %d, body %q: %q", status, body, text)
			}
			if e := channel.AsError(err); e.Action < channel.Retry || e.Action >= channel.Success ||
				e.RetryAfter < 0 || e.RetryAfter > channel.MaxRetryAfter {
				t.Fatalf("status %d, body %q: %+v", status, body, e)
			}
		}
	})
}

// Every code that is in the table has an action that makes sense for it.
func TestCodeTable(t *testing.T) {
	t.Parallel()
	for code, action := range twilioActions {
		assert.Contains(t, []channel.Action{channel.Retry, channel.Wait, channel.Permanent}, action,
			"%d: one number's trouble does not end a webhook", code)
	}
}
