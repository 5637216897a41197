package sms_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
	"github.com/mixpeek/webhooks-go/channel/sms"
)

// Text messages through a provider of one's own.
func ExampleProvider() {
	driver, err := sms.NewDriver(console{}, sms.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := driver.Open(json.RawMessage(
		`{"phone_numbers": ["+14155550100"], "message_template": "New: {{ subject.id }}"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := c.Send(context.Background(), channelfixture.Message())
	fmt.Println(result.Response, err)
	// Output:
	// +14155550100: New: obj_abc123
	// reached 1 of 1 <nil>
}

// console is a Provider that prints.
type console struct{}

func (console) SendSMS(_ context.Context, to, text string) (string, error) {
	fmt.Printf("%s: %s\n", to, text)
	return "", nil
}

func (console) Host() string { return "" }

// What a text costs.
func ExampleCountSegments() {
	for _, text := range []string{"All good.", "All good ✓"} {
		s := sms.CountSegments(text)
		fmt.Println(s.Count, s.Units, s.UCS2)
	}
	// Output:
	// 1 9 false
	// 1 10 true
}
