package event_test

import (
	"fmt"

	"github.com/mixpeek/webhooks-go/event"
)

func ExamplePattern_Match() {
	for _, p := range []event.Pattern{"*", "object.*", "object.created", "objects.*"} {
		fmt.Println(p, p.Match(event.ObjectCreated))
	}
	fmt.Println(event.Pattern("*.created").Validate())
	// Output:
	// * true
	// object.* true
	// object.created true
	// objects.* false
	// must have "*" alone or as the last of several segments, as in "object.*"
}

// A catalogue of your own event types is what the management API lists (Config.Catalogue of
// webhook/api).
func ExampleCatalogue() {
	catalogue := event.Catalogue{
		{Type: "invoice.paid", Category: "invoice", Description: "An invoice was paid"},
		{Type: "invoice.overdue", Category: "invoice", Status: event.TypePlanned},
		{Type: "Invoice", Category: "invoice"},
	}
	fmt.Println(catalogue.Validate())
	fmt.Println(append(event.Mixpeek(), catalogue[:2]...).Validate())
	// Output:
	// invalid: [2].Type: must be segments of lower-case letters, digits, '_' and '-', each beginning with a letter, separated by dots, as in "object.created"
	// <nil>
}
