package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// testTime bounds a test, whatever timeouts the channels are configured with.
const testTime = 30 * time.Second

// TestRequest says what to send to a webhook's channels as a test.
type TestRequest struct {
	// Channel is one of the webhook's channel keys: "webhook", and "webhook#2"
	// for the second of that name. Defaults to all of them.
	Channel string `json:"channel,omitempty"`
	// EventType is the type of the event. Defaults to one that the webhook is
	// subscribed to.
	EventType string `json:"event_type,omitempty"`
	// Event is the envelope. What it lacks is filled in. Defaults to an event
	// whose metadata is {"test": true}.
	Event *event.Event `json:"event,omitempty"`
}

// TestResponse says how a test went.
type TestResponse struct {
	EventID string       `json:"event_id"`
	Results []TestResult `json:"results"`
}

// TestResult is what happened at one channel.
type TestResult struct {
	Channel   string          `json:"channel"`
	Succeeded bool            `json:"succeeded"`
	Attempt   webhook.Attempt `json:"attempt"`
}

// sendTest makes one attempt for each channel of the webhook, paused or not, and
// answers with what came of it. Nothing is stored and nothing is retried.
func (a *API) sendTest(r *request) (*response, error) {
	w, err := a.webhook(r)
	if err != nil {
		return nil, err
	}
	p := &problems{}
	o := optionalObject(p, r.body)
	keys := w.ChannelKeys()
	selected := keys
	eventType := testEventType(w)
	e := &event.Event{}
	completeEvent(e, eventType)
	if o != nil {
		if name := o.text("channel"); name != "" {
			if selected = []string{name}; !slices.Contains(keys, name) {
				p.add(o.at("channel"), typeValue, "must be one of %s", strings.Join(keys, ", "))
			}
		}
		if s := o.text("event_type"); s != "" {
			if err := event.ValidType(s); err != nil {
				p.add(o.at("event_type"), typeValue, "%s", err)
			} else {
				eventType = s
			}
		}
		e = readEvent(o, eventType)
		o.end()
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), testTime)
	defer cancel()
	res := TestResponse{EventID: e.ID, Results: make([]TestResult, len(selected))}
	var wg sync.WaitGroup
	for i, key := range selected {
		config := w.Channels[slices.Index(keys, key)]
		wg.Go(func() { res.Results[i] = a.testChannel(ctx, w, key, config, e) })
	}
	wg.Wait()
	return &response{status: http.StatusOK, body: res}, r.Context().Err()
}

// testChannel makes one attempt.
func (a *API) testChannel(ctx context.Context, w *webhook.Webhook, key string, c webhook.ChannelConfig, e *event.Event) TestResult {
	started := time.Now()
	result, err := a.send(ctx, w, c, e)
	res := TestResult{Channel: key, Succeeded: err == nil, Attempt: webhook.Attempt{
		Number:     1,
		StartedAt:  started.UTC().Truncate(time.Microsecond),
		Duration:   time.Since(started).Truncate(time.Microsecond),
		StatusCode: result.StatusCode,
		Response:   result.Response,
	}}
	if err == nil {
		return res
	}
	failure := channel.AsError(err)
	res.Attempt.Class = string(failure.Class)
	setDefault(&res.Attempt.Class, string(channel.ClassUnknown))
	if res.Attempt.StatusCode == 0 {
		res.Attempt.StatusCode = failure.StatusCode
	}
	if failure.Err != nil {
		res.Attempt.Error = failure.Err.Error()
	}
	return res
}

func (a *API) send(ctx context.Context, w *webhook.Webhook, c webhook.ChannelConfig, e *event.Event) (result channel.Result, err error) {
	defer func() {
		if p := recover(); p != nil { // what it says stays out of the answer: it may hold anything
			a.cfg.Logger.ErrorContext(ctx, "api: a channel panicked", "channel", c.Channel, "panic", fmt.Sprint(p))
			err = &channel.Error{Class: channel.ClassPanic, Err: errors.New("the channel panicked")}
		}
	}()
	ch, err := a.cfg.Channels.Open(c.Channel, c.Configs)
	if err != nil {
		return result, &channel.Error{Action: channel.Permanent, Class: channel.ClassConfig, Err: err}
	}
	m, err := channel.NewMessage(e)
	if err != nil {
		return result, &channel.Error{Action: channel.Permanent, Class: channel.ClassPayload, Err: err}
	}
	m.WebhookID = w.ID
	return ch.Send(ctx, m)
}
