package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"

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
	EventID string                `json:"event_id"`
	Results []dispatch.TestResult `json:"results"`
}

// sendTest makes one attempt for each channel of the webhook, paused or not, and
// answers with what came of it. Nothing is stored and nothing is retried.
func (a *API) sendTest(r *request) (*response, error) {
	sub, err := a.subscription(r)
	if err != nil {
		return nil, err
	}
	p := &problems{}
	var channels []string
	eventType := testEventType(sub)
	e := &event.Event{}
	completeEvent(e, eventType)
	if o := optionalObject(p, r.body); o != nil {
		if name := o.text("channel"); name != "" {
			channels = []string{name}
			if keys := sub.ChannelKeys(); !slices.Contains(keys, name) {
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
	results, err := a.runTest(r, sub, e, channels)
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK, body: TestResponse{EventID: e.ID, Results: results}}, nil
}

// errTestEnded says that a test lost its place.
var errTestEnded = &statusError{
	status: http.StatusServiceUnavailable, retryAfter: busyTime,
	message: "The test took long while others wanted to test, and was ended: try again in a moment",
}

// runTest makes the attempts, in one of the places for tests.
func (a *API) runTest(
	r *request, sub *webhook.Subscription, e *event.Event, channels []string,
) ([]dispatch.TestResult, error) {
	place, err := a.tests.admit(r.organizationID)
	if err != nil {
		return nil, err
	}
	defer place.release()
	ctx, cancel := context.WithTimeout(r.Context(), testTime)
	defer cancel()
	place.wait(cancel)
	results, err := a.dispatcher.SendTest(ctx, sub, e, channels...)
	if !place.resume() {
		return nil, errTestEnded
	}
	return results, err
}
