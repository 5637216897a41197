package webhook

import (
	"errors"
	"fmt"
	"time"
)

// Errors of stores and of the Dispatcher's management methods.
var (
	// ErrNotFound means that the organization has no such subscription, delivery or event.
	ErrNotFound = errors.New("webhook: not found")
	// ErrExists means that a subscription with this id exists already.
	ErrExists = errors.New("webhook: already exists")
	// ErrConflict means that the subscription is not at the revision that an update or a deletion
	// names, because another call has changed it. Read the subscription again and repeat the change.
	// For the state of an endpoint it means the same.
	ErrConflict = errors.New("webhook: changed by another call in the meantime")
	// ErrWrongStatus means that the status of a delivery does not allow the call: for example, a
	// replay of a delivery that is not settled.
	ErrWrongStatus = errors.New("webhook: not possible in the delivery's state")
)

// ErrLimit means that an organization has reached a limit: of what it has stored, or of what it may
// do in a given time. Errors that match it are a [*LimitError].
var ErrLimit = errors.New("webhook: a limit of the organization is reached")

// LimitError says which limit is reached. It matches [ErrLimit].
type LimitError struct {
	// Limit is what is limited, as a plural noun that follows a number in the error's text:
	// "webhooks" (subscriptions, as the wire calls them), "channels", "event types", "tests",
	// "positions", "tails", "replays", "API keys" or "requests with an idempotency key". Later
	// versions may add others.
	Limit string
	// Max is how many there may be.
	Max int
	// RetryAfter is how long to wait until the same call may succeed. Zero means that waiting does
	// not help.
	RetryAfter time.Duration
}

// Error names the limit.
func (e *LimitError) Error() string {
	text := fmt.Sprintf("webhook: the organization may have at most %d %s", e.Max, e.Limit)
	if e.RetryAfter > 0 {
		text += fmt.Sprintf(": try again in %s", e.RetryAfter)
	}
	return text
}

// Is reports whether the target is [ErrLimit].
func (e *LimitError) Is(target error) bool { return target == ErrLimit }

// ErrUnavailable means that the store cannot be reached, or cannot write now: the disk is full, or
// the database is locked, starting or read-only. The same call may succeed later. The call may have
// taken effect, as a whole: see [Store].
var ErrUnavailable = errors.New("webhook: the store is unavailable")

// ErrBlocked means that the call has waited too long for a transaction of another caller, which is
// open and has stored the same, such as an event with the same id. Nothing is stored. It matches
// [ErrUnavailable].
var ErrBlocked = Unavailable("webhook: a transaction that is open has stored the same")

// Unavailable returns a new error with this text that matches [ErrUnavailable]. A store uses it to
// declare its own error variables, such as sqlite.ErrFull.
func Unavailable(text string) error { return unavailable{errors.New(text)} }

type unavailable struct{ error }

func (unavailable) Is(target error) bool { return target == ErrUnavailable }
