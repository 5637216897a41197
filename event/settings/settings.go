// Package settings completes and checks the fields of a Config, for the packages of this module
// and for channels of your own: a field that is zero takes its default, and one below its least
// value is a problem.
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

// AtLeast adds a problem of the field to p if value is less than least. NaN is less than any least.
func AtLeast[T int | int64 | float64 | time.Duration](
	p *event.Problems, field string, value, least T,
) {
	if cmp.Less(value, least) {
		p.Add(field, "must be at least %v, is %v", least, value)
	}
}
