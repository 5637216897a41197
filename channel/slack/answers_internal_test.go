package slack

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
	for _, s := range []string{"ok", `{"ok":true}`, `{"ok":false,"error":"ratelimited"}`, "no_service",
		"{", "\xff"} {
		f.Add(200, s)
		f.Add(429, s)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		reply := channelkit.HTTPResponse{StatusCode: status, Header: http.Header{"Retry-After": {body}},
			Body: []byte(body)}
		for _, err := range []error{classifySlack(reply, false, time.Unix(0, 0)),
			classifySlack(reply, true, time.Unix(0, 0))} {
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

// Every code that is in a table has an action that makes sense for it.
func TestCodeTables(t *testing.T) {
	t.Parallel()
	for code, action := range slackActions {
		assert.True(t, isSlackCode(code), code)
		assert.Contains(t, []channel.Action{channel.Retry, channel.Wait, channel.Permanent}, action,
			"%s: one channel's trouble does not end a webhook", code)
	}
	for code := range slackAuth {
		assert.Contains(t, slackActions, code)
		assert.Equal(t, channel.Retry, slackActions[code], "%s: the bot's owner corrects the credentials",
			code)
	}
}
