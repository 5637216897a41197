package channel

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/mixpeek/webhooks-go/event"
)

// A Message is what one attempt delivers. It may be shared by several attempts
// at the same time and is not modified by any of them. Use it by pointer.
type Message struct {
	EventID        string
	EventType      string
	SubscriptionID string // the subscription; empty for a one-off send
	DeliveryID     string // the delivery that this is an attempt of; empty for a one-off send
	Attempt        int    // from 1

	// Payload is the event's envelope as JSON, exactly as stored.
	Payload []byte

	// Progress is what this delivery's previous attempt returned as
	// Result.Progress; nil on the first.
	Progress json.RawMessage

	once  sync.Once
	event *event.Event
	err   error
}

// NewMessage makes the Message of a first attempt from an event: for tests and
// for one-off sends. It does not validate the event.
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

// Event decodes the Payload, once, and returns the same event to every caller,
// who must not modify it. It is safe for concurrent use.
func (m *Message) Event() (*event.Event, error) {
	m.once.Do(func() {
		m.event, m.err = event.Decode(m.Payload)
	})
	return m.event, m.err
}
