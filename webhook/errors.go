package webhook

import "errors"

// Errors of stores and of the Dispatcher's management methods.
var (
	// ErrNotFound says that the organization has no such webhook, delivery or event.
	ErrNotFound = errors.New("webhook: not found")
	// ErrExists says that a webhook with this id exists already.
	ErrExists = errors.New("webhook: already exists")
	// ErrConflict says that an update was based on an older revision than the
	// stored one: read the webhook again, and decide again.
	ErrConflict = errors.New("webhook: changed by somebody else in the meantime")
	// ErrState says that a delivery is not in a state that allows the call,
	// such as replaying one that is still under way.
	ErrState = errors.New("webhook: not possible in the delivery's state")
)

// ErrRunning says that [Dispatcher.Run] was called while an earlier Run was
// going on.
var ErrRunning = errors.New("webhook: the dispatcher is running already")

// ErrNoTx says that [Dispatcher.EmitTo] was called on a store that cannot take
// part in a transaction of the caller's.
var ErrNoTx = errors.New("webhook: the store cannot take part in a transaction")
