package receiver

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A drain reads and discards the body of a request that was refused, after the answer was
// sent. Otherwise the connection would be reset while the sender is still sending, and a
// sender that reads the answer last would not get it: nginx turns a 401 into a 502 then.
//
// Bytes, time, and the number of concurrent drains are bounded, because the sender may be
// hostile. When all slots are in use, the connection is closed without a drain. So is that of
// a sender that has not begun to send its body, because it waits for 100 Continue.
type drain struct {
	bytes int64
	time  time.Duration
	slots chan struct{}
}

// The bounds for strangers, and for senders whose static secret was right.
const (
	strangerDrainBytes = 1 << 20
	strangerDrainTime  = 2 * time.Second
	senderDrainBytes   = 16 << 20
	senderDrainTime    = 5 * time.Second
	drainSlots         = 64 // of each kind
	// drainLinger is how long a sender that exceeds the bytes has to read its answer.
	drainLinger = 250 * time.Millisecond
)

func newDrain(bytes int64, d time.Duration) drain {
	return drain{bytes: bytes, time: d, slots: make(chan struct{}, drainSlots)}
}

// run reads what is left of the body of a request that was answered. The connection ends
// when it returns.
func (d drain) run(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	// In any case, or the server would wait for the rest of the body.
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
	if server, _ := r.Context().Value(http.ServerContextKey).(*http.Server); server != nil &&
		server.ReadTimeout > 0 {
		limit = min(limit, server.ReadTimeout)
	}
	if control.Flush() != nil || control.SetReadDeadline(time.Now().Add(limit)) != nil {
		return // the answer could not be sent, or reading could not be bounded
	}
	if _, err := io.CopyN(io.Discard, r.Body, d.bytes+1); err != nil {
		return // the body has ended, the sender has left, or the time is over
	}
	select {
	case <-time.After(drainLinger):
	case <-r.Context().Done():
	}
}

// waitsForContinue reports whether the sender waits for 100 Continue or a final answer before
// it sends the body (RFC 9110, section 10.1.1). net/http sends 100 Continue at the first read
// of the body.
func waitsForContinue(r *http.Request) bool {
	return r.ProtoAtLeast(1, 1) && r.ContentLength != 0 &&
		strings.EqualFold(r.Header.Get("Expect"), "100-continue")
}

// refuse writes an answer with a length, so that it is complete when it is flushed.
func refuse(w http.ResponseWriter, status int) {
	text := http.StatusText(status) + "\n"
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
