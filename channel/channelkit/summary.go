package channelkit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/internal/printable"
	"github.com/mixpeek/webhooks-go/event"
)

// A Summary describes an event in words, for the default messages of channels that people read. Its
// fields are plain text of bounded length: escape them for the format in which you print them.
type Summary struct {
	Type        string    // the event_type: object.created
	Description string    // what happened; may be empty
	Subject     string    // the type and id of the subject: object obj_abc123
	ID          string    // the event_id
	OccurredAt  time.Time // zero if the event does not say
	Rows        []Row     // namespace, collection, actor, and the plain values of the metadata
	headline    string    // the begin of what the event says of itself; empty if it says nothing
}

// SummaryField is the field of an event's metadata that says in sentences what happened. For types
// that are not in [event.Mixpeek], it is the Description, and its first 120 characters follow the
// type in the Title.
const SummaryField = "summary"

// A Row is one detail of the event. A Summary has at most 12 Rows, with values of at most 200
// characters.
type Row struct{ Name, Value string }

// The bounds of a summary: what fits on a screen.
const (
	maxRows     = 12
	maxRowValue = 200
	maxSummary  = 800
	maxHeadline = 120
)

// DecodeEvent decodes a message's event. If that fails, the error is permanent, of ClassPayload.
func DecodeEvent(m *channel.Message) (*event.Event, error) {
	e, err := m.Event()
	if err != nil {
		return nil, &channel.Error{Action: channel.Permanent, Class: channel.ClassPayload,
			Err: errors.New("the stored event does not decode")}
	}
	return e, nil
}

// Summarize describes the event of a message. The error is that of DecodeEvent.
func Summarize(m *channel.Message) (*Summary, error) {
	e, err := DecodeEvent(m)
	if err != nil {
		return nil, err
	}
	s := &Summary{
		Type:       oneLine(e.Type),
		Subject:    oneLine(strings.TrimSpace(e.Subject.Type + " " + e.Subject.ID)),
		ID:         oneLine(e.ID),
		OccurredAt: e.OccurredAt,
	}
	if info, ok := event.Lookup(e.Type); ok {
		s.Description = info.Description
	} else if text, ok := e.Metadata[SummaryField].(string); ok {
		s.Description, s.headline = printable.Line(text, maxSummary), printable.Line(text, maxHeadline)
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
		if key == SummaryField && s.headline != "" {
			continue
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

func (s *Summary) add(name, value string) {
	if value = oneLine(value); value != "" {
		s.Rows = append(s.Rows, Row{name, value})
	}
}

// Title returns one line: the type of the event and, after a colon, the beginning of its
// SummaryField or else its subject.
func (s *Summary) Title() string {
	switch {
	case s.headline != "":
		return s.Type + ": " + s.headline
	case s.Subject == "":
		return s.Type
	}
	return s.Type + ": " + s.Subject
}

// When returns the time of the event in UTC, for people in any time zone. Empty if it is not known.
func (s *Summary) When() string {
	if s.OccurredAt.IsZero() {
		return ""
	}
	return s.OccurredAt.UTC().Format("2 January 2006, 15:04:05 UTC")
}

// oneLine makes one line of printable text of whatever an event holds.
func oneLine(s string) string { return printable.Line(s, maxRowValue) }

// JSON encodes v without escaping <, > and &, so that stored messages stay readable. Escapes are
// needed only inside HTML.
func JSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
