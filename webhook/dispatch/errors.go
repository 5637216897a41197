package dispatch

import "errors"

// ErrRunning says that [Dispatcher.Run] was called while an earlier Run was
// going on.
var ErrRunning = errors.New("webhook: the dispatcher is running already")

// ErrNoTx says that [Dispatcher.EmitTx] was called on a store that cannot take
// part in a transaction of the caller's.
var ErrNoTx = errors.New("webhook: the store cannot take part in a transaction")
