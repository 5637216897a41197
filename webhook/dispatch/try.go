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

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event/settings"
	"github.com/mixpeek/webhooks-go/webhook"
)

// maxExcerpt is how many bytes an attempt keeps of an error, and of an answer.
const maxExcerpt = 1024

// try makes one attempt with the channel of that channel key. It returns the attempt for the
// history, the progress for the next one, and the error, which decides what follows. ctx must have
// the Gate of renders.
func (d *Dispatcher) try(
	ctx context.Context, channelKey string, ch openedChannel, m *channel.Message,
) (*webhook.Attempt, json.RawMessage, error) {
	started := time.Now()
	result, err := d.send(ctx, channelKey, ch, m)
	attempt := &webhook.Attempt{
		Number:     m.Attempt,
		StartedAt:  d.clock.fromLocal(started),
		Duration:   time.Since(started).Truncate(time.Microsecond),
		StatusCode: result.StatusCode,
		Response:   excerpt(result.Response),
	}
	if err != nil {
		recordFailure(attempt, err)
	}
	return attempt, result.Progress, err
}

// recordFailure records why the attempt failed.
func recordFailure(a *webhook.Attempt, err error) {
	failure := channel.AsError(err)
	class := failure.Class
	if class == channel.ClassUnknown && errors.Is(err, context.DeadlineExceeded) {
		class = channel.ClassTimeout
	}
	a.Class = excerpt(string(class))
	settings.Default(&a.Class, string(channel.ClassUnknown))
	settings.Default(&a.StatusCode, failure.StatusCode)
	a.Error = excerpt(reason(err, failure))
}

// send calls the channel. A panic of the channel, or of the error that it returns, is an error.
func (d *Dispatcher) send(
	ctx context.Context, channelKey string, ch openedChannel, m *channel.Message,
) (result channel.Result, err error) {
	switch {
	case ch.err != nil:
		// A later version of this program may accept the configuration again.
		return result, &channel.Error{Action: channel.Retry, Class: channel.ClassConfig, Err: ch.err}
	case ch.Channel == nil:
		return result, &channel.Error{Action: channel.Permanent, Class: channel.ClassConfig,
			Err: fmt.Errorf("the subscription no longer has the channel %q", channelKey)}
	}
	defer func() {
		if p := recover(); p != nil {
			// The type, because the value may contain a secret.
			d.cfg.Logger.ErrorContext(ctx, "webhook: a channel panicked",
				"channel", channelKey, "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = &channel.Error{Action: channel.Retry, Class: channel.ClassPanic,
				Err: errors.New("the channel panicked")}
		}
	}()
	limit := min(d.cfg.AttemptTimeout, d.cfg.MaxAttemptTimeout)
	if ch.timeout > 0 {
		limit = d.cfg.MaxAttemptTimeout
		if ch.timeout <= limit || ch.host.MaxInFlight > 0 {
			limit = 0 // the channel bounds its attempts itself
		}
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	result, err = ch.Send(ctx, m)
	examine(err)
	return result, err
}

// examine asks an error all that is asked of it later. It is code of the channel's too, and what
// panics in it, such as a method that is called on nil, must do so where that is recovered.
func examine(err error) {
	if err != nil {
		recordFailure(&webhook.Attempt{}, err)
		_ = errors.Is(err, context.Canceled)
	}
}

// reason returns what an error says beyond its class and status, for which an Attempt has
// fields, or what the status means if it says nothing more.
func reason(err error, failure *channel.Error) string {
	switch text := err.Error(); {
	case text != failure.Error():
		return text // it is wrapped, and says more
	case failure.Err != nil:
		return failure.Err.Error()
	}
	words := http.StatusText(failure.StatusCode)
	switch {
	case failure.Class == channel.ClassRedirect:
		return fmt.Sprintf("the endpoint redirects with %d %s, which is not followed", failure.StatusCode,
			words)
	case failure.StatusCode != 0 && words != "":
		return fmt.Sprintf("the endpoint answered %d %s", failure.StatusCode, words)
	case failure.StatusCode != 0:
		return fmt.Sprintf("the endpoint answered %d", failure.StatusCode)
	}
	return "the attempt failed"
}

// excerpt returns the beginning of s, as valid UTF-8 without NUL bytes, because not every
// database can store those.
func excerpt(s string) string { return cut(s, maxExcerpt) }

// cut is excerpt for another number of bytes.
func cut(s string, size int) string {
	const replacement = "\uFFFD"
	if len(s) > size {
		s = s[:size]
	}
	if !utf8.ValidString(s) || strings.Contains(s, "\x00") {
		s = strings.ReplaceAll(strings.ToValidUTF8(s, replacement), "\x00", replacement)
	}
	for len(s) > size {
		_, last := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-last]
	}
	return s
}
