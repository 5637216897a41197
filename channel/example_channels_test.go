package channel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/mixpeek/webhooks-go/channel"
)

// All four channels: what carries mail and texts is the caller's.
func ExampleStandard() {
	smtp, err := channel.NewSMTP(channel.SMTPConfig{
		Host: "smtp.example.com", From: "Webhooks <hooks@example.com>",
		Username: "hooks", Password: "not-so-secret",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = smtp.Close() }()
	twilio, err := channel.NewTwilio(channel.TwilioConfig{
		AccountSID: "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", AuthToken: "not-so-secret", From: "+14155550199",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	registry, err := channel.Standard(channel.StandardConfig{SMTP: smtp, SMS: twilio})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(registry.Names())
	// Output: [email slack sms webhook]
}

// Text messages through a provider of one's own.
func ExampleProvider() {
	driver, err := channel.NewSMSDriver(console{}, channel.SMSOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := driver.Open(json.RawMessage(`{"phone_numbers": ["+14155550100"], "message_template": "New: {{ subject.id }}"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := c.Send(context.Background(), message())
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

// What a text costs.
func ExampleCountSegments() {
	for _, text := range []string{"All good.", "All good ✓"} {
		s := channel.CountSegments(text)
		fmt.Println(s.Count, s.Units, s.UCS2)
	}
	// Output:
	// 1 9 false
	// 1 10 true
}

// A channel of one's own makes its requests with the guarded client.
func ExampleHTTPClient() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://example.com/", http.StatusFound)
	}))
	defer server.Close()

	client := channel.NewHTTPClient(channel.HTTPConfig{AllowHTTP: true, AllowPrivate: true})
	req, err := http.NewRequest(http.MethodPost, server.URL, bytes.NewReader([]byte(`{}`)))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(channel.Classify(resp.StatusCode, resp.Header, noon))
	// Output: channel: redirect 302
}
