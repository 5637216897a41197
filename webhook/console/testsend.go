package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// testTime bounds a test, whatever timeouts the channels have.
const testTime = 25 * time.Second

// testBody is the page of a test.
type testBody struct {
	*webhook.Subscription
	Keys    []string
	Types   []string
	Type    string // of the event that is suggested
	Failed  bool   // a delivery of that type failed
	Channel string // the key that was chosen; empty is all
	Event   string // as JSON
	Problem string
	Results []dispatch.TestResult
}

func (c *Console) testBody(q *request) (*testBody, error) {
	sub, err := c.subscription(q)
	if err != nil {
		return nil, err
	}
	body := &testBody{Subscription: sub, Keys: sub.ChannelKeys()}
	for _, info := range c.cfg.Catalogue {
		if sub.Matches(info.Type) {
			body.Types = append(body.Types, info.Type)
		}
	}
	return body, nil
}

func (c *Console) showTest(q *request) error {
	body, err := c.testBody(q)
	if err != nil {
		return err
	}
	if body.Type = q.URL.Query().Get("type"); event.ValidType(body.Type) != nil {
		if body.Type, err = c.dispatcher.LastFailedType(q.Context(), body.Subscription); err != nil {
			return err
		}
		body.Failed = body.Type != ""
	}
	if body.Type == "" {
		body.Type = c.cfg.Catalogue.SampleType(body.EventTypes)
	}
	if body.Failed && !slices.Contains(body.Types, body.Type) {
		body.Types = append(body.Types, body.Type)
	}
	if body.Event, err = sampleText(c.cfg.Catalogue, body.Type); err != nil {
		return err
	}
	return q.show("test", page{Title: "Send a test", Section: "subscriptions"}, body)
}

// sendTest makes one attempt for each channel. Nothing is stored and nothing is retried.
func (c *Console) sendTest(q *request) error {
	body, err := c.testBody(q)
	if err != nil {
		return err
	}
	body.Event = q.PostForm.Get("event")
	body.Channel = q.PostForm.Get("channel")
	var keys []string
	if body.Channel != "" {
		if !slices.Contains(body.Keys, body.Channel) {
			return webhook.ErrNotFound
		}
		keys = []string{body.Channel}
	}
	p := page{Title: "Send a test", Section: "subscriptions"}
	e, err := readEvent(body.Event, c.cfg.Catalogue.SampleType(body.EventTypes))
	if err != nil {
		body.Problem = err.Error()
		q.render(http.StatusUnprocessableEntity, "test", p, body)
		return nil
	}
	ctx, cancel := context.WithTimeout(q.Context(), testTime)
	defer cancel()
	body.Results, err = c.dispatcher.SendTest(ctx, body.Subscription, e, keys...)
	change := Change{Action: "test", SubscriptionID: body.ID, Channel: body.Channel}
	var invalid *event.ValidationError
	switch err = q.audit(change, err); {
	case errors.As(err, &invalid):
		body.Problem = invalid.Error()
		q.render(http.StatusUnprocessableEntity, "test", p, body)
		return nil
	case err != nil:
		return err
	}
	return q.show("test", p, body)
}

// readEvent reads the JSON of an event, and completes what is missing. It sets a new id, so that a
// test can be repeated.
func readEvent(text, eventType string) (*event.Event, error) {
	if !json.Valid([]byte(text)) {
		return nil, errors.New("the event is not JSON")
	}
	e, err := event.Decode([]byte(text))
	if err != nil {
		return nil, err
	}
	e.FillSample(eventType)
	return e, e.Validate()
}
