package channeltest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mixpeek/webhooks-go/channel"
)

// An Answer is something that the target of a channel can say beyond an HTTP status, such as a code
// in the body or a reply of SMTP, and what it means. Either Serve or Config is required.
type Answer struct {
	// Name names the subtest.
	Name string

	// Want is the Action that the answer must lead to: channel.Success if the target has accepted
	// the event.
	Want channel.Action

	// Serve gives the answer, for a Harness with HTTP. The suite serves it.
	Serve http.HandlerFunc

	// Config returns a valid configuration whose target gives the answer, until the end of t.
	Config func(t testing.TB) json.RawMessage
}

// answerRules turns every Answer into a rule.
func answerRules(h *Harness) []rule {
	list := make([]rule, 0, len(h.Answers))
	for _, a := range h.Answers {
		list = append(list, rule{
			name: "Answers/" + strings.ReplaceAll(a.Name, " ", "_"),
			why: "What a target answers decides what becomes of the delivery, so a channel says it in a table that can be " +
				"read, and that is executed.",
			check: func(t testing.TB, h *Harness) error { return h.answered(t, a) },
		})
	}
	return list
}

// answered makes one attempt and compares what came of it.
func (h *Harness) answered(t testing.TB, a Answer) error {
	var config json.RawMessage
	switch {
	case a.Config != nil:
		config = a.Config(t)
	case a.Serve != nil && h.HTTP != nil:
		config = h.HTTP.Config(h.serve(t, a.Serve))
	default:
		return errors.New("the Answer needs a Config, or a Serve and the Harness HTTP")
	}
	c, err := h.Driver.Open(config)
	if err != nil {
		return err
	}
	result, err := c.Send(t.Context(), newMessage())
	got := channel.Success
	if failed := channel.AsError(err); failed != nil {
		got = failed.Action
		if got == channel.Wait && failed.RetryAfter <= 0 {
			return fmt.Errorf("action wait without a RetryAfter: %w", err)
		}
	}
	if got != a.Want {
		return errors.Join(fmt.Errorf("want action %s, got %s", a.Want, got), err)
	}
	return errors.Join(h.checkResult(result), h.secretIn("the error", err))
}
