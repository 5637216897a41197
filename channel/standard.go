package channel

import (
	"errors"
	"reflect"

	"github.com/mixpeek/webhooks-go/template"
)

// StandardConfig says how the channels of this package reach the outside
// world. The zero value gives webhook and slack.
type StandardConfig struct {
	// HTTP configures the client that webhook and slack share. Defaults to
	// HTTPS to public addresses only.
	HTTP HTTPConfig

	// Client is used in place of one that HTTP configures, so that channels of
	// one's own can share it, and its connections; HTTP must then be zero.
	// Defaults to none.
	Client *HTTPClient

	// Slack configures the slack channel. Defaults to Slack's own API.
	Slack SlackOptions

	// Library has filters and functions that the templates of all these channels
	// can use beyond Jinja2. Defaults to none.
	Library *template.Library

	// SMTP sends the mail of the email channel. Nil means that there is no
	// email channel: a configuration that names it is refused, and told why.
	SMTP *SMTP

	// SMS sends the texts of the sms channel. Nil means that there is no sms
	// channel: a configuration that names it is refused, and told why.
	SMS Provider

	// SMSOptions configures the sms channel. Defaults as its fields say.
	SMSOptions SMSOptions
}

// Standard returns a Registry with the channels of this package. The caller may
// register more.
func Standard(config StandardConfig) (*Registry, error) {
	client := config.Client
	if client == nil {
		client = NewHTTPClient(config.HTTP)
	} else if !reflect.ValueOf(config.HTTP).IsZero() {
		return nil, errors.New("channel: Standard: HTTP must be zero when Client is given, which is configured already")
	}
	if config.Slack.Library == nil {
		config.Slack.Library = config.Library
	}
	if config.SMSOptions.Library == nil {
		config.SMSOptions.Library = config.Library
	}
	slack, err := NewSlackDriver(client, config.Slack)
	if err != nil {
		return nil, err
	}
	r := NewRegistry()
	errs := []error{
		r.Register(NameWebhook, NewWebhookDriver(client, WebhookOptions{Library: config.Library})),
		r.Register(NameSlack, slack),
	}
	if config.SMTP != nil {
		email, err := NewEmailDriver(config.SMTP, EmailOptions{Library: config.Library})
		if errs = append(errs, err); err == nil {
			errs = append(errs, r.Register(NameEmail, email))
		}
	} else {
		r.MarkUnavailable(NameEmail, "no mail server is configured")
	}
	if config.SMS != nil {
		sms, err := NewSMSDriver(config.SMS, config.SMSOptions)
		if errs = append(errs, err); err == nil {
			errs = append(errs, r.Register(NameSMS, sms))
		}
	} else {
		r.MarkUnavailable(NameSMS, "no provider of text messages is configured")
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return r, nil
}
