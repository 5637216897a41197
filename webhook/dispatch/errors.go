package dispatch

import (
	"errors"
	"fmt"
)

// ErrRunning means that [Dispatcher.Run] was called while an earlier Run was
// going on.
var ErrRunning = errors.New("webhook: the dispatcher is running already")

// ErrNoTx means that [Dispatcher.EmitTx] was called on a store that cannot take
// part in a transaction of the caller's.
var ErrNoTx = errors.New("webhook: the store cannot take part in a transaction")

// UnfinishedError says that [Dispatcher.Run] could not store all results before it
// ended. Those deliveries stay claimed until their lease ends; then this process or
// another makes them again, though the endpoint may have accepted them.
type UnfinishedError struct {
	// Requeued is how many deliveries went back to the store, for the next Run.
	Requeued int
	// Leased is how many wait for the end of their lease, at least 1.
	Leased int
	// Err is the store's error.
	Err error
}

func (e *UnfinishedError) Error() string {
	const text = "webhook: results of %d deliveries were not stored, they will be made again: %v"
	return fmt.Sprintf(text, e.Leased, e.Err)
}

// Unwrap returns Err.
func (e *UnfinishedError) Unwrap() error { return e.Err }
