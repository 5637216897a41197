package httpendpoint

import (
	"net/http"
	"strconv"

	"github.com/mixpeek/webhooks-go/channel"
)

// The headers by which a request is found in the logs of sender and receiver, whether or not the
// body names the event. They are not signed: what a receiver decides by is the body, or the
// headers of the signature. A header of the subscriber's own with such a name replaces it.
const (
	// HeaderEventID has the id of the event, which stays the same over all attempts.
	HeaderEventID = "X-Webhook-Event-Id"
	// HeaderDeliveryID has the id of the delivery: of that event to this endpoint. One-off sends, such
	// as tests, have none.
	HeaderDeliveryID = "X-Webhook-Delivery-Id"
	// HeaderAttempt has the number of the attempt of the delivery, from 1.
	HeaderAttempt = "X-Webhook-Attempt"
)

// identify sets the headers by which the request is found.
func identify(header http.Header, m *channel.Message) {
	values := []string{m.EventID, m.DeliveryID, strconv.Itoa(m.Attempt)}
	for i, name := range [...]string{HeaderEventID, HeaderDeliveryID, HeaderAttempt} {
		if _, own := header[name]; !own && sendable(values[i]) {
			header[name] = values[i : i+1 : i+1]
		}
	}
}

// maxID is how long an id may be that is sent in a header.
const maxID = 256

// sendable reports whether an id can be the value of a header: it may be one that the
// service that emits has chosen.
func sendable(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return id != "" && len(id) <= maxID
}
