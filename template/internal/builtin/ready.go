package builtin

import (
	"time"

	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// Ready is a set of ready-made filters and functions.
type Ready uint

// The sets.
const (
	ReadyDates Ready = 1 << iota
	ReadyRegex
	ReadyJSON
	ReadyBase64
	ReadyHashes
	ReadyURLs

	readyAll = ReadyDates | ReadyRegex | ReadyJSON | ReadyBase64 | ReadyHashes | ReadyURLs
)

// tables returns the ready-made filters and functions of the sets.
func (r Ready) tables(
	location func(string) (*time.Location, error),
) (filters []python.Filter, functions []python.Function) {
	if r&ReadyDates != 0 {
		d := dates{location}
		filters, functions = append(filters, d.filters()...), append(functions, d.functions()...)
	}
	for set, table := range map[Ready]func() []python.Filter{
		ReadyRegex: regexFilters, ReadyJSON: jsonFilters, ReadyBase64: base64Filters,
		ReadyHashes: hashFilters, ReadyURLs: urlFilters,
	} {
		if r&set != 0 {
			filters = append(filters, table()...)
		}
	}
	return filters, functions
}
