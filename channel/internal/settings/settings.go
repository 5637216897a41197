// Package settings completes and checks the fields of a Config: zero is the
// default, and less than the least is a problem.
package settings

import (
	"cmp"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// Default sets a field that is zero.
func Default[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// AtLeast adds a problem unless the value of a field is at least the least.
func AtLeast[T int | int64 | float64 | time.Duration](
	p *event.Problems, field string, value, least T,
) {
	if cmp.Less(value, least) {
		p.Add(field, "must be at least %v, is %v", least, value)
	}
}
