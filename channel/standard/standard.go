// Package standard makes a channel.Registry of the channels that come with this library, from one
// [Config]: "webhook" and "slack" always, "email" and "sms" if the Config says how to send them.
//
//	mail, err := email.NewSMTP(email.SMTPConfig{Host: "smtp.example.com", From: "shop@example.com"})
//	channels, err := standard.New(standard.Config{SMTP: mail})
//	d, err := dispatch.New(store, dispatch.Config{Channels: channels})
//
// # What is where
//
// [New] makes the Registry. The channels themselves are in the packages httpendpoint, slack, email
// and sms, next to this one.
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

// Config configures the standard channels. The zero value makes "webhook" and "slack".
type Config struct {
	// HTTP configures the client that "webhook" and "slack" share. The zero value allows only HTTPS
	// to public addresses.
	HTTP channelkit.HTTPConfig

	// Client, if it is set, is used instead of a client made from HTTP, which must then be zero.
	// With it, channels of your own can share the client and its connections. Defaults to none.
	Client *channelkit.HTTPClient

	// Trace says which headers of a trace the requests of "webhook" have. The zero value sends
	// traceparent and tracestate, but not baggage.
	Trace httpendpoint.TraceHeaders

	// Slack configures the "slack" channel. Defaults to Slack's own API.
	Slack slack.Options

	// Library has filters and functions that the templates of all these channels can use beyond
	// Jinja2. Defaults to none.
	Library *template.Library

	// SMTP sends the mail of the "email" channel. Nil means that there is no "email" channel:
	// configurations that name it are refused with that reason.
	SMTP *email.SMTP

	// SMS sends the texts of the "sms" channel. Nil means that there is no "sms" channel:
	// configurations that name it are refused with that reason.
	SMS sms.Provider

	// SMSOptions configures the "sms" channel. The zero value has the defaults that sms.Options
	// names.
	SMSOptions sms.Options
}

// New returns a Registry with the standard channels. The caller may register more. It returns an
// error if a field of config is invalid, or if both Client and HTTP are set.
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
	if config.Trace < httpendpoint.TraceParent || config.Trace > httpendpoint.TraceBaggage {
		return nil, fmt.Errorf("standard: New: Trace must be one of the constants, is %d", config.Trace)
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
			httpendpoint.Options{Library: config.Library, Trace: config.Trace})),
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
