// Package settings fills in the defaults of a Config and checks its numbers, for the packages of
// this module and for channels of your own.
//
// # What is where
//
// [Default] sets a field that is zero to its default. [AtLeast] reports a field below its minimum.
package settings

import (
	"cmp"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// Default sets the field to the value if it is zero.
func Default[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// AtLeast adds a problem of the field to p if value is less than least. NaN counts as less than
// every minimum.
func AtLeast[T int | int64 | float64 | time.Duration](
	p *event.Problems, field string, value, least T,
) {
	if cmp.Less(value, least) {
		p.Add(field, "must be at least %v, is %v", least, value)
	}
}
