package channel

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A progress is what an attempt at several recipients leaves for the next, as
// Result.Progress: who was reached, and who was refused for good. Neither is
// written to again, but that those who were refused are left alone ends with
// the delivery: who replays a dead one has mended something.
type progress struct {
	Reached []string `json:"reached,omitempty"`
	Refused []string `json:"refused,omitempty"`

	stored bool // it was read, so nil would leave what was read in place
}

// readProgress reads what the previous attempt left. What cannot be read counts
// as nothing: a recipient is then written to twice, rather than never.
func readProgress(raw json.RawMessage) *progress {
	p := &progress{}
	if len(raw) > 0 && json.Unmarshal(raw, p) != nil {
		p = &progress{}
	}
	p.stored = len(raw) > 0
	return p
}

// remaining returns the recipients that are still to be written to.
func (p *progress) remaining(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool {
		return slices.Contains(p.Reached, s) || slices.Contains(p.Refused, s)
	})
}

// after returns the Result.Progress of an attempt that ended with err, nil when
// there is nothing to remember and nothing to forget.
func (p *progress) after(err error) json.RawMessage {
	if e := AsError(err); e == nil || !e.Retryable() {
		p.Refused = nil
	}
	if len(p.Reached)+len(p.Refused) == 0 && !p.stored {
		return nil
	}
	raw, _ := json.Marshal(p) // strings only
	return raw
}

// A failure is what one of several recipients met.
type failure struct {
	recipient string
	err       *Error
}

// add remembers what came of the recipients of one attempt.
func (p *progress) add(reached []string, failed []failure) {
	p.Reached = append(p.Reached, reached...)
	for _, f := range failed {
		if !f.err.Retryable() {
			p.Refused = append(p.Refused, f.recipient)
		}
	}
}

// settle adds the recipients of one attempt to the progress and says how the
// attempt ended: success when all were reached, by now; otherwise the way that
// is most worth trying, so that one dead number does not end what another still
// waits for. total is the number of all recipients.
func (p *progress) settle(total int, reached []string, failed []failure) (Result, error) {
	p.add(reached, failed)
	var worst *Error
	lines := make([]string, 0, 1+len(failed))
	for _, f := range failed {
		if worst == nil || !worst.Retryable() && f.err.Retryable() || f.err.RetryAfter > worst.RetryAfter {
			worst = f.err
		}
		reason := string(f.err.Class)
		if f.err.Err != nil {
			reason = f.err.Err.Error()
		}
		lines = append(lines, f.recipient+": "+reason)
	}
	lines = append([]string{fmt.Sprintf("reached %d of %d", len(p.Reached), total)}, lines...)
	result := Result{Response: excerpt([]byte(strings.Join(lines, "\n")), excerptSize)}

	if worst == nil && len(p.Refused) == 0 {
		result.Progress = p.after(nil)
		return result, nil
	}
	if worst == nil {
		worst = &Error{Action: Permanent, Class: ClassRejected}
	}
	result.Progress = p.after(worst)
	result.StatusCode = worst.StatusCode
	if len(p.Reached) == 0 && len(failed) == total {
		return result, worst // all of them alike: their own error says it best
	}
	return result, &Error{
		Action: worst.Action, Class: ClassPartial, StatusCode: worst.StatusCode, RetryAfter: worst.RetryAfter,
		Err: fmt.Errorf("%d of %d recipients not reached", total-len(p.Reached), total),
	}
}
