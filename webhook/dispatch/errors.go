package dispatch

import (
	"errors"
	"fmt"
)

// ErrRunning means that [Dispatcher.Run] was called while an earlier Run had not returned.
var ErrRunning = errors.New("webhook: the dispatcher is running already")

// ErrNoTx means that [Dispatcher.EmitTx] was called on a store that does not support transactions
// of the caller.
var ErrNoTx = errors.New("webhook: the store cannot take part in a transaction")

// ErrNoTail means that the store cannot be read as a tail: see [webhook.Capabilities].
var ErrNoTail = errors.New("webhook: the store cannot be read as a tail")

// ErrNoReplays means that the store does not keep replays: see [webhook.Capabilities].
var ErrNoReplays = errors.New("webhook: the store does not keep replays")

// ErrNoBacklog means that the store does not keep how large the backlog was: see
// [webhook.Capabilities].
var ErrNoBacklog = errors.New("webhook: the store does not keep how large the backlog was")

// ErrNoProcesses means that the store does not keep which processes deliver: see
// [webhook.Capabilities].
var ErrNoProcesses = errors.New("webhook: the store does not keep which processes deliver")

// UnfinishedError says that [Dispatcher.Run] or [Dispatcher.Drain] could not store the results of
// some attempts. Those deliveries stay claimed until their lease ends. Then this process or another
// attempts them again, although the endpoint may have accepted them.
type UnfinishedError struct {
	// Requeued is how many deliveries went back to the store, for the next Run.
	Requeued int
	// Leased is how many deliveries wait for the end of their lease, at least 1.
	Leased int
	// Err is the store's error.
	Err error
}

// Error returns the number of deliveries and the store's error.
func (e *UnfinishedError) Error() string {
	const text = "webhook: results of %d deliveries were not stored, they will be made again: %v"
	return fmt.Sprintf(text, e.Leased, e.Err)
}

// Unwrap returns Err.
func (e *UnfinishedError) Unwrap() error { return e.Err }
