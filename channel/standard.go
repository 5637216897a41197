package channel

import "errors"

// StandardConfig says how the channels of this package reach the outside
// world. The zero value gives webhook and slack.
type StandardConfig struct {
	// HTTP configures the client that webhook and slack share. Defaults to
	// HTTPS to public addresses only.
	HTTP HTTPConfig

	// Slack configures the slack channel. Defaults to Slack's own API.
	Slack SlackOptions

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
	client := NewHTTPClient(config.HTTP)
	slack, err := NewSlackDriver(client, config.Slack)
	if err != nil {
		return nil, err
	}
	r := NewRegistry()
	errs := []error{
		r.Register(NameWebhook, NewWebhookDriver(client)),
		r.Register(NameSlack, slack),
	}
	if config.SMTP != nil {
		errs = append(errs, r.Register(NameEmail, NewEmailDriver(config.SMTP)))
	} else {
		r.absent[NameEmail] = "no mail server is configured"
	}
	if config.SMS != nil {
		errs = append(errs, r.Register(NameSMS, NewSMSDriver(config.SMS, config.SMSOptions)))
	} else {
		r.absent[NameSMS] = "no provider of text messages is configured"
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return r, nil
}
