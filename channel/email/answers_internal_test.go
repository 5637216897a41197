package email

import (
	"net/textproto"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/channel"
)

// What a service answers is outside of our control: it never causes a panic, and
// never gets into an error as it is.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{"5.1.1 no", "ok", "\xff"} {
		f.Add(200, s)
		f.Add(429, s)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		for _, err := range []error{smtpReply(&textproto.Error{Code: status, Msg: body})} {
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

func TestEnhancedCode(t *testing.T) {
	t.Parallel()
	for msg, want := range map[string]string{
		"5.1.1 no such user": " 5.1.1", "4.2.2": " 4.2.2", "5.1 no": "", "no": "", "": "",
		"5.1.1.1 no": "", "5..1": "", "99999.99999.99999 x": "",
	} {
		assert.Equal(t, want, enhanced(msg), "%q", msg)
	}
}
