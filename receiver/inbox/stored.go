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
	// receivedField of a stored envelope holds the event as it was received.
	receivedField = "received"
	// otherType is the type of a stored envelope whose event has a type that no
	// envelope can have.
	otherType = "inbox.received"
)

// wrap makes the envelope in which an event is stored, for an inbox of any name.
// A receiver lets events pass that a Dispatcher would refuse to emit, or
// complete: partial ones, and those that a decoder made of another format. The
// handler is to get them as they are. So all events travel inside an envelope
// of the inbox's own, which takes over their id and type where it can.
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

// storedID is the event's id or, if no envelope can have that, a hash of what
// the receiver knows the event by: its id, the signed id, or the body.
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

// unwrap returns the event inside a stored envelope, and its JSON.
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
