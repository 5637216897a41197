package standard_test

import (
	"fmt"

	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/sms"
	"github.com/mixpeek/webhooks-go/channel/standard"
)

// All four channels: what carries mail and texts is the caller's.
func Example() {
	smtp, err := email.NewSMTP(email.SMTPConfig{
		Host: "smtp.example.com", From: "Webhooks <hooks@example.com>",
		Username: "hooks", Password: "not-so-secret",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = smtp.Close() }()
	twilio, err := sms.NewTwilio(sms.TwilioConfig{
		AccountSID: "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", AuthToken: "not-so-secret",
		From: "+14155550199",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	registry, err := standard.New(standard.Config{SMTP: smtp, SMS: twilio})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(registry.Names())
	// Output: [email slack sms webhook]
}
