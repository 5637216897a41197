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
	// ErrConflict means that an update was based on an older revision than the stored
	// one. Read the subscription again and repeat the change.
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
	// Limit names what is limited: "webhooks", "channels" or "tests".
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
// the database is locked, starting or read-only. The same call may succeed later. It may not be
// known whether the call has stored anything.
var ErrUnavailable = errors.New("webhook: the store is unavailable")

// Unavailable returns a new error with the text, which matches [ErrUnavailable]. It is for the
// errors that a Store declares.
func Unavailable(text string) error { return unavailable{errors.New(text)} }

type unavailable struct{ error }

func (unavailable) Is(target error) bool { return target == ErrUnavailable }
