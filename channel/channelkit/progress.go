package channelkit

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/internal/printable"
)

// Progress remembers, from one attempt of a delivery to the next, which of several recipients were
// reached and which were refused for good. It is stored as Result.Progress. Later attempts send to
// neither. If a dead delivery is replayed, the refused ones are tried again, because the operator
// has presumably corrected something.
//
// To use it, call [ReadProgress] with Message.Progress, send to what [Progress.Remaining] returns,
// and return from Send what [Progress.Settle] returns.
type Progress struct {
	// Reached are the recipients that have accepted the message.
	Reached []string `json:"reached,omitempty"`
	// Refused are the recipients to which no later attempt of this delivery sends.
	Refused []string `json:"refused,omitempty"`

	stored bool // it was read, so nil would leave what was read in place
}

// ReadProgress reads Message.Progress. If it cannot be read, it counts as empty, and recipients may
// get the message twice.
func ReadProgress(raw json.RawMessage) *Progress {
	p := &Progress{}
	if len(raw) > 0 && json.Unmarshal(raw, p) != nil {
		p = &Progress{}
	}
	p.stored = len(raw) > 0
	return p
}

// Remaining returns those of all recipients that have not been reached or refused yet.
func (p *Progress) Remaining(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool {
		return slices.Contains(p.Reached, s) || slices.Contains(p.Refused, s)
	})
}

// After returns the Result.Progress of an attempt that ended with err. Nil if there is nothing to
// store.
func (p *Progress) After(err error) json.RawMessage {
	if e := channel.AsError(err); e == nil || !e.Retryable() {
		p.Refused = nil
	}
	if len(p.Reached)+len(p.Refused) == 0 && !p.stored {
		return nil
	}
	raw, _ := json.Marshal(p) // strings only
	return raw
}

// A Failure says why one of several recipients was not reached.
type Failure struct {
	Recipient string         // the recipient, as in the configuration
	Err       *channel.Error // why it was not reached; required
}

// Add adds the results of one attempt: the recipients that were reached, and those that were not.
func (p *Progress) Add(reached []string, failed []Failure) {
	p.Reached = append(p.Reached, reached...)
	for _, f := range failed {
		if !f.Err.Retryable() {
			p.Refused = append(p.Refused, f.Recipient)
		}
	}
}

// Settle adds the results of one attempt, as Add does, and returns what Send is to return: success
// once all recipients have been reached. Otherwise the error is retryable if one of the failures
// is, so that a recipient that is refused for good does not end the delivery for the others. all
// are the recipients as they are configured now: what became of others, which an earlier attempt
// had, does not count.
func (p *Progress) Settle(
	all, reached []string, failed []Failure,
) (channel.Result, error) {
	p.Add(reached, failed)
	total, arrived, refused := len(all), 0, false
	for _, s := range all {
		switch {
		case slices.Contains(p.Reached, s):
			arrived++
		case slices.Contains(p.Refused, s):
			refused = true
		}
	}
	var worst *channel.Error
	lines := make([]string, 0, 1+len(failed))
	for _, f := range failed {
		if worst == nil || !worst.Retryable() && f.Err.Retryable() ||
			f.Err.RetryAfter > worst.RetryAfter {
			worst = f.Err
		}
		reason := string(f.Err.Class)
		if f.Err.Err != nil {
			reason = f.Err.Err.Error()
		}
		lines = append(lines, f.Recipient+": "+reason)
	}
	lines = append([]string{fmt.Sprintf("reached %d of %d", arrived, total)}, lines...)
	result := channel.Result{Response: printable.Excerpt([]byte(strings.Join(lines, "\n")),
		excerptSize)}

	if worst == nil && !refused {
		result.Progress = p.After(nil)
		return result, nil
	}
	if worst == nil {
		worst = &channel.Error{Action: channel.Permanent, Class: channel.ClassRejected}
	}
	result.Progress = p.After(worst)
	result.StatusCode = worst.StatusCode
	if arrived == 0 && len(failed) == total {
		return result, worst // all of them alike: their own error says it best
	}
	return result, &channel.Error{
		Action: worst.Action, Class: channel.ClassPartial, StatusCode: worst.StatusCode,
		RetryAfter: worst.RetryAfter,
		Err:        fmt.Errorf("%d of %d recipients not reached", total-arrived, total),
	}
}
