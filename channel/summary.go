package channel

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// A summary is an event in words, for the default messages of the channels that
// people read. Its fields are plain text of bounded length: code that prints them
// escapes them for where they go.
type summary struct {
	Type        string // object.created
	Description string // what the catalogue says of the type; may be empty
	Subject     string // object obj_abc123
	ID          string
	OccurredAt  time.Time // zero when the event does not say
	Rows        []row     // namespace, collection, actor, and the plain values of the metadata
}

type row struct{ Name, Value string }

// The bounds of a summary: what fits on a screen.
const (
	maxRows     = 12
	maxRowValue = 200
)

// eventOf decodes a message's event. One that does not decode never will.
func eventOf(m *Message) (*event.Event, error) {
	e, err := m.Event()
	if err != nil {
		return nil, &Error{Action: Permanent, Class: ClassPayload, Err: errors.New("the stored event does not decode")}
	}
	return e, nil
}

// summarize makes the summary of a message's event.
func summarize(m *Message) (*summary, error) {
	e, err := eventOf(m)
	if err != nil {
		return nil, err
	}
	s := &summary{
		Type:       oneLine(e.Type),
		Subject:    oneLine(strings.TrimSpace(e.Subject.Type + " " + e.Subject.ID)),
		ID:         oneLine(e.ID),
		OccurredAt: e.OccurredAt,
	}
	if info, ok := event.Lookup(e.Type); ok {
		s.Description = info.Description
	}
	s.add("Namespace", e.Namespace)
	s.add("Namespace id", e.NamespaceID)
	s.add("Collection", e.Collection)
	if e.Actor != event.ActorSystem {
		s.add("Actor", e.Actor)
	}
	for _, key := range slices.Sorted(maps.Keys(e.Metadata)) {
		if len(s.Rows) == maxRows {
			break
		}
		switch v := e.Metadata[key].(type) {
		case string:
			s.add(oneLine(key), v)
		case bool, json.Number, float64:
			s.add(oneLine(key), fmt.Sprint(v))
		}
	}
	return s, nil
}

func (s *summary) add(name, value string) {
	if value = oneLine(value); value != "" {
		s.Rows = append(s.Rows, row{name, value})
	}
}

// title is the summary in one line.
func (s *summary) title() string {
	if s.Subject == "" {
		return s.Type
	}
	return s.Type + ": " + s.Subject
}

// time is when it happened, for people who may be anywhere.
func (s *summary) time() string {
	if s.OccurredAt.IsZero() {
		return ""
	}
	return s.OccurredAt.UTC().Format("2 January 2006, 15:04:05 UTC")
}

// oneLine makes one line of printable text of whatever an event holds.
func oneLine(s string) string { return textLine(s, maxRowValue) }

// encode writes JSON without the escapes that only matter inside HTML, so that
// stored messages stay readable.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
