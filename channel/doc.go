// Package channel hands events to the outside world: one attempt at a time, to
// one configured target.
package channel
