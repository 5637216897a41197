// Package standard makes a channel.Registry with the channels that come with this
// library, from one [Config]: webhook and slack, and, once it is set up how
// they are carried, email and sms.
package standard

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/slack"
	"github.com/mixpeek/webhooks-go/channel/sms"
	"github.com/mixpeek/webhooks-go/template"
)

// Config says how the standard channels reach the outside
// world. The zero value gives webhook and slack.
type Config struct {
	// HTTP configures the client that webhook and slack share. Defaults to
	// HTTPS to public addresses only.
	HTTP channelkit.HTTPConfig

	// Client is used in place of one that HTTP configures, so that channels of
	// one's own can share it, and its connections; HTTP must then be zero.
	// Defaults to none.
	Client *channelkit.HTTPClient

	// Slack configures the slack channel. Defaults to Slack's own API.
	Slack slack.Options

	// Library has filters and functions that the templates of all these channels
	// can use beyond Jinja2. Defaults to none.
	Library *template.Library

	// SMTP sends the mail of the email channel. Nil means that there is no
	// email channel: a configuration that names it is refused, and told why.
	SMTP *email.SMTP

	// SMS sends the texts of the sms channel. Nil means that there is no sms
	// channel: a configuration that names it is refused, and told why.
	SMS sms.Provider

	// SMSOptions configures the sms channel. Defaults as its fields say.
	SMSOptions sms.Options
}

// New returns a Registry with the standard channels. The caller may
// register more.
func New(config Config) (*channel.Registry, error) {
	client := config.Client
	if client == nil {
		var err error
		if client, err = channelkit.NewHTTPClient(config.HTTP); err != nil {
			return nil, fmt.Errorf("standard: New: HTTP: %w", err)
		}
	} else if !reflect.ValueOf(config.HTTP).IsZero() {
		return nil,
			errors.New("standard: New: HTTP must be zero when Client is given, which is configured already")
	}
	if config.Slack.Library == nil {
		config.Slack.Library = config.Library
	}
	if config.SMSOptions.Library == nil {
		config.SMSOptions.Library = config.Library
	}
	toSlack, err := slack.NewDriver(client, config.Slack)
	if err != nil {
		return nil, err
	}
	r := channel.NewRegistry()
	errs := []error{
		r.Register(httpendpoint.Name, httpendpoint.NewDriver(client,
			httpendpoint.Options{Library: config.Library})),
		r.Register(slack.Name, toSlack),
	}
	if config.SMTP != nil {
		mail, err := email.NewDriver(config.SMTP, email.Options{Library: config.Library})
		if errs = append(errs, err); err == nil {
			errs = append(errs, r.Register(email.Name, mail))
		}
	} else {
		r.MarkUnavailable(email.Name, "no mail server is configured")
	}
	if config.SMS != nil {
		texts, err := sms.NewDriver(config.SMS, config.SMSOptions)
		if errs = append(errs, err); err == nil {
			errs = append(errs, r.Register(sms.Name, texts))
		}
	} else {
		r.MarkUnavailable(sms.Name, "no provider of text messages is configured")
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return r, nil
}
