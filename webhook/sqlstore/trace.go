package sqlstore

import (
	"encoding/json"

	"github.com/mixpeek/webhooks-go/event/tracecontext"
)

// encodeTrace returns the trace for its column: nil, which is NULL, or JSON.
func encodeTrace(trace tracecontext.Context) (any, error) {
	if trace.IsZero() {
		return nil, nil
	}
	encoded, err := json.Marshal(trace)
	return string(encoded), err
}

// decodeTrace returns the trace of a column. One that cannot be read is none, because an event must
// not wait for it.
func decodeTrace(column []byte) (trace tracecontext.Context) {
	if len(column) == 0 || json.Unmarshal(column, &trace) != nil {
		return tracecontext.Context{}
	}
	return trace
}
