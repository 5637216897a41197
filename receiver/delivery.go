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
)

// A Delivery is a request that has passed every check. It is shared by all who
// handle the request, and not to be modified.
type Delivery struct {
	// Event is what was sent.
	Event *event.Event
	// Body is what Event was decoded from: the exact bytes that were sent, or
	// what they decompress to.
	Body []byte
	// Signed is the id and the time that the signature vouches for. Zero if
	// no signature was verified.
	Signed signature.Verified
	// Claim is the claim under which the handler runs, for a store that can
	// settle it in the handler's own transaction. Its Key and Sender are set by
	// Check; its Token by Handler, and only if the event could be claimed: it is zero
	// with [Config.FailOpen] and a store that is down.
	Claim Claim
	// Keep is how long the event is to be remembered: [Config.Keep].
	Keep time.Duration

	// reader is the request's body once it was read.
	reader bodyReader

	// failure is what a [HandlerFunc] reported. Middleware may have left its
	// goroutine behind, as http.TimeoutHandler does.
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

// DeliveryFrom returns the delivery that a handler behind [Receiver.Handler] is
// called for, nil in any other context.
func DeliveryFrom(ctx context.Context) *Delivery {
	d, _ := ctx.Value(contextKey{}).(*Delivery)
	return d
}

// EventFrom returns the event that a handler behind [Receiver.Handler] is
// called for, nil in any other context.
func EventFrom(ctx context.Context) *event.Event {
	if d := DeliveryFrom(ctx); d != nil {
		return d.Event
	}
	return nil
}

// maxPlainID is the longest id that becomes a part of a key as it is. Longer
// ones are hashed, since a key has to fit every store, and so are those with a
// "/" or ":": the one ends the consumer and the other tells what is hashed.
const maxPlainID = 200

// dedupeKey returns what a delivery is deduplicated on: the event's id, else the
// signed id, else the hash of the body. An id that is not signed, in a
// header of an unsigned request, is never used.
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
