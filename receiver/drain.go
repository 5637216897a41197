package receiver

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// A drain is what is still read of a body that has been refused, and thrown away.
// The answer has left by then. Without it the connection would end with a reset
// while the sender is still sending, and one that has not read its answer yet
// never does: nginx makes a 502 of a 401 like that.
//
// What a hostile sender gains by it is bounded in bytes, in time and in number at
// once. Where more drains are asked for than there are slots, the connection is
// closed at once, as if there were none.
type drain struct {
	bytes int64
	time  time.Duration
	slots chan struct{}
}

// The bounds for strangers, and for a sender whose static secret is right.
const (
	strangerDrainBytes = 1 << 20
	strangerDrainTime  = 2 * time.Second
	senderDrainBytes   = 16 << 20
	senderDrainTime    = 5 * time.Second
	drainSlots         = 64 // of each kind
	// drainLinger is how long a sender that sends more still has to read its
	// answer. Whether it has gone cannot be seen without reading on.
	drainLinger = 250 * time.Millisecond
)

func newDrain(bytes int64, d time.Duration) drain {
	return drain{bytes: bytes, time: d, slots: make(chan struct{}, drainSlots)}
}

// run reads what is left of the body of a request that was answered. When it
// returns the connection ends.
func (d drain) run(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	// Whatever comes of it: the server would wait for the body again.
	defer func() { _ = control.SetReadDeadline(time.Now()) }()
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	default:
		return
	}
	limit := d.time
	if server, _ := r.Context().Value(http.ServerContextKey).(*http.Server); server != nil && server.ReadTimeout > 0 {
		limit = min(limit, server.ReadTimeout)
	}
	if control.Flush() != nil || control.SetReadDeadline(time.Now().Add(limit)) != nil {
		return // the answer leaves when the handler has returned, or reading could take for ever
	}
	if _, err := io.CopyN(io.Discard, r.Body, d.bytes+1); err != nil {
		return // that was all, or the sender has gone, or the time is over
	}
	select {
	case <-time.After(drainLinger):
	case <-r.Context().Done():
	}
}

// refuse writes an answer that is whole when it is flushed.
func refuse(w http.ResponseWriter, status int) {
	text := http.StatusText(status) + "\n"
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
