package event_test

import (
	"fmt"

	"github.com/mixpeek/webhooks-go/event"
)

// The event types of a service are constants, so that no publisher misspells one.
const (
	invoicePaid    = "invoice.paid"
	invoiceOverdue = "invoice.overdue"
)

// invoiceTypes is what customers can subscribe to: Config.Catalogue of webhook/api lists it.
// Nothing else asks for it, because events of any well-formed type can be emitted.
func invoiceTypes() event.Catalogue {
	return event.Catalogue{
		{Type: invoicePaid, Category: "invoice", Description: "An invoice was paid"},
		{Type: invoiceOverdue, Category: "invoice", Status: event.TypePlanned},
	}
}

// newInvoicePaid is the one place that knows what such an event says.
func newInvoicePaid(id string, cents int) *event.Event {
	e := event.New(invoicePaid, event.Subject{Type: "invoice", ID: id})
	e.Metadata = map[string]any{"cents": cents}
	e.CacheScope = event.KeyScope("invoice:" + id)
	return e
}

// A catalogue of one's own, checked once, in a test or at the start of the service.
func ExampleCatalogue_own() {
	if err := invoiceTypes().Validate(); err != nil {
		fmt.Println(err)
		return
	}
	e := newInvoicePaid("inv_42", 4200)
	if err := e.Validate(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Type, "of", e.Subject.ID, "is for subscribers of invoice.*:",
		event.Pattern("invoice.*").Match(e.Type))
	// Output: invoice.paid of inv_42 is for subscribers of invoice.*: true
}
