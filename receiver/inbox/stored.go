package inbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

const (
	// receivedField is the field of a stored envelope with the event that was received.
	receivedField = "received"
	// otherType is the type of a stored envelope whose event has a type that is not valid.
	otherType = "inbox.received"
)

// wrap returns the envelope in which an event is stored. A receiver accepts events that a
// Dispatcher would refuse to emit, or would complete, such as partial ones and those that a
// decoder made from another format. The handler must get them unchanged, so each event is a
// field of an envelope of the inbox, which has its id and type if they are valid.
func wrap(ctx context.Context, e *event.Event) (*event.Event, error) {
	received, err := e.MarshalJSON()
	if err != nil {
		return nil, err
	}
	eventType := e.Type
	if event.ValidType(eventType) != nil {
		eventType = otherType
	}
	id := storedID(ctx, e, received)
	stored := event.New(eventType, event.Subject{Type: "event", ID: id})
	stored.ID = id
	stored.Extra = map[string]json.RawMessage{receivedField: received}
	return stored, nil
}

// storedID returns the event's id or, if that is not valid, a hash of what identifies the
// event to the receiver: its id, the signed id, or the body.
func storedID(ctx context.Context, e *event.Event, received []byte) string {
	if event.ValidID(e.ID) == nil {
		return e.ID
	}
	identity := []byte(e.ID)
	if e.ID == "" {
		identity = received
		if d := receiver.DeliveryFrom(ctx); d != nil {
			identity = []byte(d.Claim.Key)
		}
	}
	sum := sha256.Sum256(identity)
	return "evt_" + hex.EncodeToString(sum[:])
}

// unwrap returns the event in a stored envelope, and its JSON.
func unwrap(payload []byte) (*event.Event, []byte, error) {
	stored, err := event.Decode(payload)
	if err != nil {
		return nil, nil, err
	}
	received, found := stored.Extra[receivedField]
	if !found {
		return nil, nil, fmt.Errorf("the envelope has no %q", receivedField)
	}
	e, err := event.Decode(received)
	return e, received, err
}
