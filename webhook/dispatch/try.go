package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/webhook"

	"github.com/mixpeek/webhooks-go/channel"
)

// maxExcerpt bounds what an attempt keeps of an error and of an answer, in bytes.
const maxExcerpt = 1024

// try calls the channel of that key once and says how it went: as the history
// keeps it, and as the error that decides what follows. ctx has the Gate of renders.
func (d *Dispatcher) try(ctx context.Context, key string, ch openedChannel, m *channel.Message) (*webhook.Attempt, json.RawMessage, error) {
	started := time.Now()
	result, err := d.send(ctx, key, ch, m)
	attempt := &webhook.Attempt{
		Number:     m.Attempt,
		StartedAt:  d.clock.of(started),
		Duration:   time.Since(started).Truncate(time.Microsecond),
		StatusCode: result.StatusCode,
		Response:   excerpt(result.Response),
	}
	if err != nil {
		failed(attempt, err)
	}
	return attempt, result.Progress, err
}

// failed notes why the attempt failed.
func failed(a *webhook.Attempt, err error) {
	failure := channel.AsError(err)
	class := failure.Class
	if class == channel.ClassUnknown && errors.Is(err, context.DeadlineExceeded) {
		class = channel.ClassTimeout
	}
	a.Class = excerpt(string(class))
	setDefault(&a.Class, string(channel.ClassUnknown))
	setDefault(&a.StatusCode, failure.StatusCode)
	a.Error = excerpt(reason(err, failure))
}

// send calls the channel.
func (d *Dispatcher) send(ctx context.Context, key string, ch openedChannel, m *channel.Message) (result channel.Result, err error) {
	switch {
	case ch.err != nil:
		// A later version of this program may take the configuration again.
		return result, &channel.Error{Action: channel.Retry, Class: channel.ClassConfig, Err: ch.err}
	case ch.Channel == nil:
		return result, &channel.Error{Action: channel.Permanent, Class: channel.ClassConfig,
			Err: fmt.Errorf("the subscription no longer has the channel %q", key)}
	}
	defer func() {
		if p := recover(); p != nil {
			// Its type and not its value, which may hold a secret.
			d.cfg.Logger.ErrorContext(ctx, "webhook: a channel panicked",
				"channel", key, "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = &channel.Error{Action: channel.Retry, Class: channel.ClassPanic, Err: errors.New("the channel panicked")}
		}
	}()
	limit := min(d.cfg.AttemptTimeout, d.cfg.MaxAttemptTimeout)
	if ch.timeout > 0 {
		limit = d.cfg.MaxAttemptTimeout
		if ch.timeout <= limit || ch.host.MaxInFlight > 0 {
			limit = 0 // no need of another timer, or not to be cut
		}
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	return ch.Send(ctx, m)
}

// reason is what an error says beyond its class and status, which an Attempt
// has fields for, and what the status means if it says no more.
func reason(err error, failure *channel.Error) string {
	switch text := err.Error(); {
	case text != failure.Error():
		return text // wrapped, and so it says more
	case failure.Err != nil:
		return failure.Err.Error()
	}
	words := http.StatusText(failure.StatusCode)
	switch {
	case failure.Class == channel.ClassRedirect:
		return fmt.Sprintf("the endpoint redirects with %d %s, which is not followed", failure.StatusCode, words)
	case failure.StatusCode != 0 && words != "":
		return fmt.Sprintf("the endpoint answered %d %s", failure.StatusCode, words)
	case failure.StatusCode != 0:
		return fmt.Sprintf("the endpoint answered %d", failure.StatusCode)
	}
	return "the attempt failed"
}

// excerpt makes s short and valid UTF-8 without NUL bytes, which not every
// database can store.
func excerpt(s string) string {
	const replacement = "\uFFFD"
	if len(s) > maxExcerpt {
		s = s[:maxExcerpt]
	}
	if !utf8.ValidString(s) || strings.Contains(s, "\x00") {
		s = strings.ReplaceAll(strings.ToValidUTF8(s, replacement), "\x00", replacement)
	}
	for len(s) > maxExcerpt {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
