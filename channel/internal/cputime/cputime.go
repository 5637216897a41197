// Package cputime measures, for tests, the processor time of a thread, which other programs on the
// machine do not change.
package cputime

import (
	"context"
	"time"
)

// Context measures the time between the looks at it. It is used by one thread.
type Context struct {
	context.Context
	Last, Longest time.Duration
}

// Err implements [context.Context].
func (c *Context) Err() error {
	now := Thread()
	c.Longest = max(c.Longest, now-c.Last)
	c.Last = now
	return c.Context.Err()
}
