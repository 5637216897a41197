package httpendpoint

import (
	"net/http"

	"github.com/mixpeek/webhooks-go/event/tracecontext"
)

// traceNames returns the headers of a trace that requests have. The subscriber's own ones replace
// them, traceparent and tracestate together: the two of different traces have no meaning.
func traceNames(which TraceHeaders, own http.Header) (names []string) {
	has := func(name string) bool { return own[http.CanonicalHeaderKey(name)] != nil }
	if which != TraceNone && !has(tracecontext.Traceparent) && !has(tracecontext.Tracestate) {
		names = append(names, tracecontext.Traceparent, tracecontext.Tracestate)
	}
	if which == TraceBaggage && !has(tracecontext.Baggage) {
		names = append(names, tracecontext.Baggage)
	}
	return names
}

// withTrace returns what adds the headers of these names, and then calls next if it is not nil.
// The values fit into a header: [tracecontext.With] has cleaned them.
func withTrace(
	names []string, trace tracecontext.Context, next func(http.Header) error,
) func(http.Header) error {
	return func(header http.Header) error {
		for _, name := range names {
			if value := trace.Get(name); value != "" {
				header.Set(name, value)
			}
		}
		if next == nil {
			return nil
		}
		return next(header)
	}
}
