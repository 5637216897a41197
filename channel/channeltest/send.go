package channeltest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
)

// The times of the suite: how long a target that hangs is waited for, and what
// still counts as prompt on a machine that is busy.
const (
	patience = 100 * time.Millisecond
	prompt   = 10 * time.Second
)

// sendRules are the rules of Channel.Send that hold for every channel.
func sendRules(h *Harness) []rule {
	list := []rule{
		{
			name:  "SendAccepted",
			why:   "A nil error means that the target has accepted the event.",
			check: sendAccepted,
		},
		{
			name: "SendLeavesTheMessageAlone",
			why: "The message is shared by all attempts: a payload that is changed is delivered changed to the next " +
				"target, and no longer fits its signature.",
			check: sendLeavesMessage,
		},
		{
			name:  "SendConcurrently",
			why:   "Send is safe for concurrent use: one Channel serves all deliveries to its target. Run this with -race.",
			check: sendConcurrently,
		},
		{
			name:  "SendCancelledBefore",
			why:   "A cancelled context says nothing about the target: the attempt is requeued and does not count.",
			check: sendCancelledBefore,
		},
	}
	if h.HTTP == nil && h.Hanging == nil {
		return list
	}
	return append(list,
		rule{
			name: "SendCancelledDuring",
			why: "A process that shuts down cancels its attempts: Send returns promptly, with an error that matches " +
				"context.Canceled, so that the attempt is requeued and does not count.",
			check: sendCancelledDuring,
		},
		rule{
			name:  "SendDeadline",
			why:   "An attempt that runs out of time has failed, with ClassTimeout, and is worth retrying.",
			check: sendDeadline,
		},
		rule{
			name:  "SendOwnTimeout",
			why:   "A channel that has a Timeout enforces it: its caller sets no timer of its own.",
			check: sendOwnTimeout,
		},
	)
}

func sendAccepted(t testing.TB, h *Harness) error {
	c, err := h.Driver.Open(h.accepting(t))
	if err != nil {
		return err
	}
	result, err := c.Send(t.Context(), newMessage())
	if err != nil {
		return err
	}
	return h.checkResult(result)
}

func sendLeavesMessage(t testing.TB, h *Harness) error {
	c, err := h.Driver.Open(h.accepting(t))
	if err != nil {
		return err
	}
	m, want := newMessage(), newMessage()
	if _, err := c.Send(t.Context(), m); err != nil {
		return err
	}
	if string(m.Payload) != string(want.Payload) {
		return errors.New("the attempt changed the payload")
	}
	if m.EventID != want.EventID || m.EventType != want.EventType ||
		m.SubscriptionID != want.SubscriptionID ||
		m.DeliveryID != want.DeliveryID || m.Attempt != want.Attempt || m.Progress != nil {
		return errors.New("the attempt changed the message")
	}
	return nil
}

func sendConcurrently(t testing.TB, h *Harness) error {
	c, err := h.Driver.Open(h.accepting(t))
	if err != nil {
		return err
	}
	m := newMessage()
	errs := make([]error, 32)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for range 4 {
				if _, err := c.Send(t.Context(), m); err != nil {
					errs[i] = err
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func sendCancelledBefore(t testing.TB, h *Harness) error {
	c, err := h.Driver.Open(h.accepting(t))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = c.Send(ctx, newMessage()); err == nil {
		return nil // it was accepted, which is a result
	}
	return isCancelled(err)
}

func sendCancelledDuring(t testing.TB, h *Harness) error {
	c, err := h.Driver.Open(h.hanging(t))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(patience, cancel)
	begin := time.Now()
	_, err = c.Send(ctx, newMessage())
	if took := time.Since(begin); took > prompt {
		return fmt.Errorf("the attempt ended %s after the cancellation", took)
	}
	if err == nil {
		return errors.New("the attempt succeeded at a target that never answers")
	}
	return isCancelled(err)
}

func isCancelled(err error) error {
	if !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the error does not match context.Canceled: %w", err)
	}
	return nil
}

func sendDeadline(t testing.TB, h *Harness) error {
	c, err := h.Driver.Open(h.hanging(t))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return h.timesOut(ctx, c)
}

func sendOwnTimeout(t testing.TB, h *Harness) error {
	c, err := h.Driver.Open(h.hanging(t))
	if err != nil {
		return err
	}
	if timeout := c.Capabilities().Timeout; timeout == 0 || timeout > 2*time.Second {
		return nil // nothing to enforce, or longer than a test should wait
	}
	return h.timesOut(t.Context(), c)
}

// sendWithin makes an attempt. late is not nil when it does not end in time,
// perhaps never: the caller no longer waits for it.
func sendWithin(
	ctx context.Context, c channel.Channel, limit time.Duration,
) (result channel.Result, err, late error) {
	type outcome struct {
		result channel.Result
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		result, err := c.Send(ctx, newMessage())
		done <- outcome{result, err}
	}()
	select {
	case o := <-done:
		return o.result, o.err, nil
	case <-time.After(limit):
		return channel.Result{}, nil, fmt.Errorf("the attempt has not ended after %s", limit)
	}
}

// timesOut checks that an attempt ends in time, and how.
func (h *Harness) timesOut(ctx context.Context, c channel.Channel) error {
	result, err, late := sendWithin(ctx, c, prompt)
	if late != nil {
		return late
	}
	var failed *channel.Error
	switch {
	case err == nil:
		return errors.New("the attempt succeeded at a target that never answers")
	case !errors.As(err, &failed):
		return fmt.Errorf("the attempt returned no *channel.Error but a %T: %w", err, err)
	case failed.Class != channel.ClassTimeout || !failed.Retryable():
		return fmt.Errorf("the attempt returned class %q, action %s: %w", failed.Class, failed.Action,
			err)
	}
	return errors.Join(h.checkResult(result), h.secretIn("the error", err))
}

// checkResult checks what every Result must keep to.
func (h *Harness) checkResult(r channel.Result) error {
	if len(r.Response) > 2048 {
		return fmt.Errorf("Result.Response has %d bytes: it is to be an excerpt", len(r.Response))
	}
	for _, c := range r.Response {
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			return fmt.Errorf("Result.Response has the control character %U", c)
		}
	}
	if r.Progress != nil && !json.Valid(r.Progress) {
		return errors.New("Result.Progress is not JSON")
	}
	return h.secretIn("the Result", r)
}

// secretIn looks for the harness's secrets in every way that a value is
// printed and stored.
func (h *Harness) secretIn(what string, v any) error {
	stored, _ := json.Marshal(v)
	prints := fmt.Sprintf("%v %+v %#v %q %s", v, v, v, v, stored)
	if failed := channel.AsError(asError(v)); failed != nil {
		prints += fmt.Sprintf(" %+v %#v %+v %#v", *failed, *failed, failed.Err, failed.Err)
	}
	for i, secret := range h.Secrets {
		if secret != "" && strings.Contains(prints, secret) {
			return fmt.Errorf("%s holds Secrets[%d]", what, i)
		}
	}
	return nil
}

func asError(v any) error {
	err, _ := v.(error)
	return err
}

// accepting returns a configuration whose target accepts.
func (h *Harness) accepting(t testing.TB) json.RawMessage {
	if h.HTTP == nil {
		return h.Accepting(t)
	}
	return h.HTTP.Config(h.serve(t, h.HTTP.accept))
}

// hanging returns a configuration whose target never answers.
func (h *Harness) hanging(t testing.TB) json.RawMessage {
	if h.Hanging != nil {
		return h.Hanging(t)
	}
	return h.HTTP.Config(h.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does a server notice that the client has gone
		<-r.Context().Done()
	}))
}

func (x *HTTP) accept(w http.ResponseWriter, r *http.Request) {
	if x.Accept != nil {
		x.Accept(w, r)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = io.WriteString(w, "ok")
}

// serve serves requests until the end of t and returns the server's URL.
func (h *Harness) serve(t testing.TB, handler http.HandlerFunc) string {
	s := httptest.NewServer(handler)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

// newMessage makes the message that the suite sends.
func newMessage() *channel.Message {
	return &channel.Message{
		EventID: "evt_0190163d8694739b92fbe5ba8fb5b5d1", EventType: "object.created",
		SubscriptionID: "wh_0123456789abcdef", DeliveryID: "dlv_1", Attempt: 1,
		Payload: []byte(`{"event_id":"evt_0190163d8694739b92fbe5ba8fb5b5d1","event_type":"object.created",` +
			`"occurred_at":"2025-10-08T16:09:00Z","namespace":"acme","collection":"articles","actor":"system",` +
			`"subject":{"type":"object","id":"obj_abc123"},"version":"v1",` +
			`"cache_scope_to_invalidate":{"scope":"key","keys":["mixpeek:acme:articles:obj_abc123"]},` +
			`"metadata":{"object_id":"obj_abc123","bucket_id":"bkt_xyz","content_type":"video/mp4","size":12345678901234567890}}`),
	}
}
