package template_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
)

// A service registers filters and functions of its own.
func ExampleNewLibrary() {
	prices := map[string]string{"EUR": "€", "USD": "$"}
	library, err := template.NewLibrary(template.LibraryConfig{
		Filters: map[string]template.Func{
			"money": {Params: "currency?", Call: func(_ context.Context,
				input any, args []any) (any, error) {
				cents, ok := input.(int64)
				if !ok {
					return nil, errors.New("money needs an integer of cents")
				}
				sign := prices["EUR"]
				if currency, ok := args[0].(string); ok {
					sign = prices[currency]
				}
				return fmt.Sprintf("%s%d.%02d", sign, cents/100, cents%100), nil
			}},
		},
		Functions: map[string]template.Func{
			"customer": {Params: "id", Steps: 1000,
				Call: func(_ context.Context, _ any, args []any) (any, error) {
					return map[string]any{"id": args[0], "name": "Ada"}, nil // ask a cache that keeps to ctx
				}},
		},
		Ready: template.ReadyDates | template.ReadyHashes,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	t, err := template.Compile(
		"{{ customer(metadata.customer).name }} paid {{ metadata.total|money('USD') }} on {{ occurred_at|strftime('%d %B %Y') }}",
		template.Options{Library: library})
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := event.Decode([]byte(
		`{"event_id":"evt_1","event_type":"invoice.paid","occurred_at":"2025-10-08T16:09:00Z","metadata":{"customer":7,"total":1999}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := t.Render(context.Background(), template.Data(e))
	fmt.Println(text, err)

	_, err = template.Compile("Total: {{ metadata.total|mony }}", template.Options{Library: library})
	fmt.Println(err)
	// Output:
	// Ada paid $19.99 on 08 October 2025 <nil>
	// template: line 1, column 26: unknown name: no filter named "mony"
}
