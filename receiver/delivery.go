package receiver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/event/tracecontext"
)

// A Delivery is a request that has passed every check. All handlers of the request share
// it, and must not modify it.
type Delivery struct {
	// Event is the event that was sent.
	Event *event.Event
	// Body is what Event was decoded from: the exact bytes that were sent, decompressed
	// if need be. Behind an inbox it is the JSON in which the event was stored.
	Body []byte
	// Signed is the id and the time that were signed. It is zero if no signature was
	// verified.
	Signed signature.Verified
	// Claim is the claim under which the handler runs, so that the handler can settle it
	// in its own transaction. Check sets its Key and Sender, and Handler its Token. The
	// Token is zero if the event was not claimed: with [Config.FailOpen] and a store that
	// fails, and behind an inbox.
	Claim Claim
	// Keep is how long the event must be remembered (see [Config.Keep]).
	Keep time.Duration
	// Trace is the trace of the sender's request, or zero. Behind an inbox it is that of the
	// attempt to handle the event. In a handler, [tracecontext.From] finds it in the context, or
	// what [Hooks].ProcessStart has put in its place.
	Trace tracecontext.Context

	// reader is the request's body after it was read.
	reader bodyReader

	// failure is the latest error of a [HandlerFunc]. It is atomic because the handler may still
	// run when the request is answered, as behind http.TimeoutHandler.
	failure atomic.Pointer[error]
}

// bodyReader is a body in memory.
type bodyReader struct{ bytes.Reader }

func (*bodyReader) Close() error { return nil }

type contextKey struct{}

// ContextWithDelivery returns a context in which [DeliveryFrom] and [EventFrom] find
// d: for tests of handlers, and for code that calls handlers without a Receiver.
func ContextWithDelivery(ctx context.Context, d *Delivery) context.Context {
	return context.WithValue(ctx, contextKey{}, d)
}

// DeliveryFrom returns the delivery for which a handler behind [Receiver.Handler], or
// behind an inbox, was called. It returns nil in any other context.
func DeliveryFrom(ctx context.Context) *Delivery {
	d, _ := ctx.Value(contextKey{}).(*Delivery)
	return d
}

// EventFrom returns the event of [DeliveryFrom], or nil.
func EventFrom(ctx context.Context) *event.Event {
	if d := DeliveryFrom(ctx); d != nil {
		return d.Event
	}
	return nil
}

// maxPlainID is the longest id that is used in a key as it is. Longer ids are hashed,
// since a key must fit every store, and so are ids with a "/" or ":", which separate a
// consumer and the name of a hash.
const maxPlainID = 200

// dedupeKey returns the key of a delivery's claim: the event's id, or else the signed id,
// or else the hash of the body. A webhook-id that is not signed is not used.
func dedupeKey(consumer string, d *Delivery) string {
	id := d.Event.ID
	if id == "" {
		id = d.Signed.ID
	}
	switch {
	case id == "":
		id = hashed("body:", d.Body)
	case !plainID(id):
		id = hashed("id:", []byte(id))
	}
	if consumer == "" {
		return id
	}
	return consumer + "/" + id
}

func hashed(prefix string, data []byte) string {
	sum := sha256.Sum256(data)
	return prefix + hex.EncodeToString(sum[:])
}

func plainID(id string) bool {
	return len(id) <= maxPlainID && isPrintable(id) && !strings.ContainsAny(id, "/:")
}

// isPrintable reports whether s is printable ASCII without spaces.
func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
