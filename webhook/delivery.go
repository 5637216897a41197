package webhook

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Status is the state of a delivery. These changes are stored:
//
//	pending ──claim──▶ in flight ──the endpoint accepts──▶ succeeded
//	   ▲                    │ │
//	   │                    │ └──permanent failure, expired, or no attempt left──▶ dead
//	   ├──failure, requeue──┘
//	   └──Replay── succeeded, dead, cancelled
//
//	pending, in flight ──Cancel──▶ cancelled
//
// A delivery in flight whose lease has ended can be claimed again. No attempt is left when the retry
// policy gives up, or after dispatch.Config.MaxLostAttempts.
//
// Paused, and cancelled because of a deletion, are not stored. An unfinished delivery, pending or
// in flight, is paused for as long as its subscription is paused or its endpoint is disabled (see
// [Health]), and cancelled once its subscription or channel is deleted.
type Status string

// The states of a delivery.
const (
	StatusPending   Status = "pending"
	StatusInFlight  Status = "in_flight"
	StatusPaused    Status = "paused"
	StatusSucceeded Status = "succeeded"
	StatusDead      Status = "dead"
	StatusCancelled Status = "cancelled"
)

// Settled reports whether the delivery has ended. Only a replay makes it pending again.
func (s Status) Settled() bool {
	return s == StatusSucceeded || s == StatusDead || s == StatusCancelled
}

// Reported returns the status to show for a delivery that is stored as s: StatusPaused if the
// delivery is not settled and its subscription is paused or its endpoint disabled, StatusCancelled
// if it is not settled and its subscription or channel is gone, and otherwise s.
func (s Status) Reported(paused, gone bool) Status {
	switch {
	case s.Settled():
		return s
	case gone:
		return StatusCancelled
	case paused:
		return StatusPaused
	default:
		return s
	}
}

// DeliveryID identifies a delivery within its Store. Ids grow and are never
// used twice.
type DeliveryID int64

// String returns the id's public form, "dlv_" and the number.
func (id DeliveryID) String() string {
	return string(strconv.AppendInt([]byte("dlv_"), int64(id), 10))
}

// MarshalText writes the public form.
func (id DeliveryID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText writes, also for 0, which is no delivery.
func (id *DeliveryID) UnmarshalText(text []byte) error {
	if string(text) == DeliveryID(0).String() {
		*id = 0
		return nil
	}
	parsed, err := ParseDeliveryID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// ParseDeliveryID reads the public form of an id.
func ParseDeliveryID(s string) (DeliveryID, error) {
	digits, ok := strings.CutPrefix(s, "dlv_")
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n <= 0 || DeliveryID(n).String() != s {
		return 0, fmt.Errorf(`webhook: a delivery id is "dlv_" and a positive number, not %q`, s)
	}
	return DeliveryID(n), nil
}

// Endpoint is where a delivery goes: one channel of one subscription. It is the unit of fairness:
// each endpoint has a queue, a limit of concurrent attempts, and a breaker of its own.
type Endpoint struct {
	SubscriptionID string `json:"webhook_id"`
	// Channel is one of [Subscription.ChannelKeys].
	Channel string `json:"channel"`
}

// Delivery is one event for one endpoint, with its history.
type Delivery struct {
	ID             DeliveryID `json:"delivery_id"`
	OrganizationID string     `json:"-"`
	EventID        string     `json:"event_id"`
	EventType      string     `json:"event_type"`
	Endpoint
	Status Status `json:"status"`
	// CreatedAt is when the event was emitted.
	CreatedAt time.Time `json:"created_at"`
	// DueAt is when the delivery can be claimed: when the next attempt is due or, while an attempt is
	// in flight, when its lease ends. Zero once Status is settled, and while it waits in line.
	DueAt time.Time `json:"due_at,omitzero"`
	// WaitsFor is the delivery that has its turn, while this one waits in line for its own: see
	// [Ordering]. 0 if it does not wait. DueAt is then zero, or the SkipAt of that one.
	WaitsFor DeliveryID `json:"waits_for,omitzero"`
	// Holds says that the delivery is dead and holds its subject: later events about the subject wait
	// until it is replayed or skipped, or until SkipAt.
	Holds bool `json:"holds_subject,omitempty"`
	// SkipAt is when the next delivery of the subject has its turn, if Holds is set. Zero means not
	// before a person decides.
	SkipAt time.Time `json:"skip_at,omitzero"`
	// ExpiresAt is when the time to live of the event ends, counted from its emit or, if later, the
	// last replay: no attempt begins from then on. Zero if the event has none.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// SettledAt is when the delivery was settled. Zero before that, and for a delivery that is
	// cancelled because its subscription or channel was deleted, until Prune has settled it.
	SettledAt time.Time `json:"settled_at,omitzero"`
	// Attempts is every attempt made, the first one first. An entry of class "expired" stands for the
	// one that was not made because of ExpiresAt.
	Attempts []Attempt `json:"attempts"`
}

// Attempt is the record of one attempt of a channel.
type Attempt struct {
	// Number is the number of the attempt, from 1. A replay continues the count.
	Number    int       `json:"number"`
	StartedAt time.Time `json:"started_at"`
	// Duration is how long the attempt took, without the time that it waited for a place to render its
	// templates. JSON has it in milliseconds.
	Duration time.Duration `json:"-"`
	// StatusCode is the status of the answer. 0 means that there was no answer, or none with a status.
	StatusCode int `json:"status_code,omitempty"`
	// Class is the kind of failure, a channel.Class; empty for a success.
	Class string `json:"error_class,omitempty"`
	// Error says what failed; empty for a success. It holds no secret.
	Error string `json:"error,omitempty"`
	// Response is a printable excerpt of the answer, of at most 1024 bytes.
	Response string `json:"response,omitempty"`
}

// Succeeded reports whether the target accepted the attempt.
func (a Attempt) Succeeded() bool { return a.Class == "" }

type attemptAlias Attempt

type attemptJSON struct {
	attemptAlias
	Milliseconds float64 `json:"duration_ms"`
}

// MarshalJSON writes the Duration as duration_ms: milliseconds, with fractions.
func (a Attempt) MarshalJSON() ([]byte, error) {
	return json.Marshal(attemptJSON{attemptAlias(a), float64(a.Duration.Microseconds()) / 1000})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (a *Attempt) UnmarshalJSON(data []byte) error {
	var in attemptJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*a = Attempt(in.attemptAlias)
	a.Duration = time.Duration(math.Round(in.Milliseconds*1000)) * time.Microsecond
	return nil
}
