package channel

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/mixpeek/webhooks-go/event"
)

// A Message is what one attempt delivers. Several attempts may share it at the same time, and none
// modifies it. Pass it by pointer: it must not be copied.
type Message struct {
	EventID        string // the event_id, which is the same for every attempt
	EventType      string // the event_type, such as "document.created"
	SubscriptionID string // the subscription; empty for a one-off send
	DeliveryID     string // the delivery that this is an attempt of; empty for a test or one-off send
	Attempt        int    // the number of the attempt, from 1; a replay continues the count

	// Payload is the event's envelope as JSON, byte by byte as it is stored.
	Payload []byte

	// Progress is the last Result.Progress of this delivery's attempts that was not nil. Nil if there
	// was none. A replay of a dead delivery keeps it; a replay of a delivery that had succeeded begins
	// without.
	Progress json.RawMessage

	once  sync.Once
	event *event.Event
	err   error
}

// NewMessage makes the Message of a first attempt from an event, for tests and one-off sends. It
// does not validate the event. It returns an error if the event is nil or cannot be encoded.
func NewMessage(e *event.Event) (*Message, error) {
	if e == nil {
		return nil, errors.New("channel: NewMessage: nil event")
	}
	payload, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("channel: NewMessage: %w", err)
	}
	return &Message{EventID: e.ID, EventType: e.Type, Attempt: 1, Payload: payload}, nil
}

// Event decodes the Payload on the first call, and returns the same event to every caller. Callers
// must not modify it. It is safe for concurrent use.
func (m *Message) Event() (*event.Event, error) {
	m.once.Do(func() {
		m.event, m.err = event.Decode(m.Payload)
	})
	return m.event, m.err
}
