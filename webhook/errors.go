package webhook

import (
	"errors"
	"fmt"
	"time"
)

// Errors of stores and of the Dispatcher's management methods.
var (
	// ErrNotFound says that the organization has no such subscription, delivery or event.
	ErrNotFound = errors.New("webhook: not found")
	// ErrExists says that a subscription with this id exists already.
	ErrExists = errors.New("webhook: already exists")
	// ErrConflict says that an update was based on an older revision than the stored
	// one. Read the subscription again and repeat the change.
	ErrConflict = errors.New("webhook: changed by another call in the meantime")
	// ErrWrongStatus says that a delivery is not in a state that allows the call,
	// such as replaying one that is still under way.
	ErrWrongStatus = errors.New("webhook: not possible in the delivery's state")
)

// ErrLimit says that an organization has reached a limit, of what it has or of what it
// does. It is a [*LimitError].
var ErrLimit = errors.New("webhook: a limit of the organization is reached")

// LimitError is an [ErrLimit] that says which limit is reached.
type LimitError struct {
	// Limit is what is limited: "webhooks", "channels" or "tests".
	Limit string
	// Max is how many there may be.
	Max int
	// RetryAfter is after how long the same call may succeed. Zero says that it
	// will not until something else changes.
	RetryAfter time.Duration
}

// Error says which limit is reached.
func (e *LimitError) Error() string {
	text := fmt.Sprintf("webhook: the organization may have at most %d %s", e.Max, e.Limit)
	if e.RetryAfter > 0 {
		text += fmt.Sprintf(": try again in %s", e.RetryAfter)
	}
	return text
}

// Is matches [ErrLimit].
func (e *LimitError) Is(target error) bool { return target == ErrLimit }

// ErrUnavailable says that the store cannot be reached, or takes nothing now: the
// disk is full, the database is locked, starting, or read-only. The same call may
// succeed later. Whether what was asked is stored may not be known.
var ErrUnavailable = errors.New("webhook: the store is unavailable")

// Unavailable returns a new error of the text that matches [ErrUnavailable], for
// the errors that a Store declares.
func Unavailable(text string) error { return unavailable{errors.New(text)} }

type unavailable struct{ error }

func (unavailable) Is(target error) bool { return target == ErrUnavailable }
