package channel

import (
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// What a service answers is outside of everybody's control: it never panics,
// and never gets into an error as it is.
func FuzzServiceAnswers(f *testing.F) {
	for _, s := range []string{"ok", `{"ok":true}`, `{"ok":false,"error":"ratelimited"}`, "no_service", `{"sid":"SM1","error_code":null}`, `{"code":21610}`, "{", "5.1.1 no", "\xff"} {
		f.Add(200, s)
		f.Add(429, s)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		reply := HTTPResponse{StatusCode: status, Header: http.Header{"Retry-After": {body}}, Body: []byte(body)}
		_, twilio := classifyTwilio(reply, time.Unix(0, 0))
		for _, err := range []error{
			classifySlack(reply, false, time.Unix(0, 0)), classifySlack(reply, true, time.Unix(0, 0)), twilio,
			smtpReply(&textproto.Error{Code: status, Msg: body}),
		} {
			if err == nil {
				continue
			}
			text := err.Error()
			if len(text) > 200 || strings.ContainsAny(text, "\r\n\x00\x1b") {
				t.Fatalf("status %d, body %q: %q", status, body, text)
			}
			if e := AsError(err); e.Action < Retry || e.Action >= Success || e.RetryAfter < 0 || e.RetryAfter > MaxRetryAfter {
				t.Fatalf("status %d, body %q: %+v", status, body, e)
			}
		}
	})
}

func TestEnhancedCode(t *testing.T) {
	t.Parallel()
	for msg, want := range map[string]string{
		"5.1.1 no such user": " 5.1.1", "4.2.2": " 4.2.2", "5.1 no": "", "no": "", "": "", "5.1.1.1 no": "", "5..1": "", "99999.99999.99999 x": "",
	} {
		assert.Equal(t, want, enhanced(msg), "%q", msg)
	}
}

// Every code that is in a table has an action that makes sense for it.
func TestCodeTables(t *testing.T) {
	t.Parallel()
	for code, action := range slackActions {
		assert.True(t, isSlackCode(code), code)
		assert.Contains(t, []Action{Retry, Wait, Permanent}, action, "%s: one channel's trouble does not end a webhook", code)
	}
	for code := range slackAuth {
		assert.Contains(t, slackActions, code)
		assert.Equal(t, Retry, slackActions[code], "%s: somebody corrects the credentials", code)
	}
	for code, action := range twilioActions {
		assert.Contains(t, []Action{Retry, Wait, Permanent}, action, "%d: one number's trouble does not end a webhook", code)
	}
}
