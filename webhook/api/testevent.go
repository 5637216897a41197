package api

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// testEventType is an event type that the webhook is subscribed to, or one that
// would suit it.
func testEventType(sub *webhook.Subscription) string {
	for _, pattern := range sub.EventTypes {
		if prefix, wildcard := strings.CutSuffix(string(pattern), "*"); !wildcard {
			return string(pattern)
		} else if prefix != "" {
			return prefix + "test"
		}
	}
	return event.ObjectCreated
}

// readEvent reads the envelope of a test or a preview. What it lacks is filled
// in, so that a body may say as little as nothing.
func readEvent(o *object, eventType string) *event.Event {
	e := &event.Event{}
	if raw := o.get("event"); raw != nil {
		var found event.Problems
		decoded, err := event.Decode(raw)
		if err != nil {
			found.AddError("event", err)
			o.found.mergeError(found.Err())
			return e
		}
		e = decoded
	}
	completeEvent(e, eventType)
	var found event.Problems
	found.AddError("event", e.Validate())
	o.found.mergeError(found.Err())
	return e
}

func completeEvent(e *event.Event, eventType string) {
	setDefault(&e.ID, event.NewID())
	setDefault(&e.Type, eventType)
	setDefault(&e.Actor, event.ActorSystem)
	setDefault(&e.Version, event.Version1)
	if e.OccurredAt.IsZero() {
		e.OccurredAt = time.Now().UTC().Truncate(time.Microsecond)
	}
	if e.Namespace == "" && e.NamespaceID == "" {
		e.Namespace = "example"
	}
	resource, _, _ := strings.Cut(e.Type, ".")
	setDefault(&e.Subject.Type, resource)
	setDefault(&e.Subject.ID, resource+"_example")
	if e.Metadata == nil {
		e.Metadata = map[string]any{"test": true}
	}
}

func setDefault(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

// storedEvent reads an event that was emitted before.
func storedEvent(payload []byte) (*event.Event, error) {
	e := &event.Event{}
	return e, json.Unmarshal(payload, e)
}
