package api

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// drain reads what is left of the body of a request that was refused, and throws it
// away. The answer has left by then. Without it the connection would end with a
// reset while a proxy is still sending, and nginx makes a 502 of the refusal.
//
// What a hostile client gains by it is bounded in bytes, in time and in number
// at once. Where more drains are asked for, the connection ends at once.
type drain chan struct{}

const (
	drainBytes  = 1 << 20
	drainTime   = 2 * time.Second
	drainLinger = 250 * time.Millisecond // for a client that sends more, to read its answer
	drainsAll   = 64
)

// run is called after the answer was written. The connection can be used again
// only if the rest of the body was short.
func (d drain) run(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	connection := http.NewResponseController(w)
	end := func(t time.Time) { _ = connection.SetReadDeadline(t) } // a test's recorder has none
	if strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		end(time.Now()) // the client has its answer instead of the leave to send
		return
	}
	select {
	case d <- struct{}{}:
		defer func() { <-d }()
	default:
		end(time.Now())
		return
	}
	if connection.Flush() != nil || connection.SetReadDeadline(time.Now().Add(drainTime)) != nil {
		return
	}
	_, err := io.CopyN(io.Discard, r.Body, drainBytes+1)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, http.ErrBodyReadAfterClose): // the server may have read the rest itself
		end(time.Time{})
		return
	case err == nil:
		select {
		case <-time.After(drainLinger):
		case <-r.Context().Done():
		}
	}
	end(time.Now()) // the server would wait for the rest again
}
