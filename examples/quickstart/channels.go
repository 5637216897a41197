package main

import (
	"crypto/tls"
	"errors"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/sms"
	"github.com/mixpeek/webhooks-go/channel/standard"
)

// newChannels configures how events leave this process: its accounts, and what
// it may connect to. Whom they go to is up to each subscription.
func newChannels(s *standIns) (*channel.Registry, *email.SMTP, error) {
	trust := &tls.Config{RootCAs: s.roots}
	http := channelkit.HTTPConfig{
		TLS: trust, // without it: the roots of the system
		// The servers of the story are on loopback, and one speaks plain HTTP.
		// Both are refused unless they are allowed: do so in development only.
		AllowHTTP: true, AllowPrivate: true,
	}
	mail, mailErr := email.NewSMTP(email.SMTPConfig{
		Host: s.mailHost, Port: s.mailPort, // the default is port 587, with STARTTLS
		From:     "Webhooks <webhooks@example.com>",
		Username: mailUser, Password: mailPassword,
		TLSConfig: trust,
	})
	client, clientErr := channelkit.NewHTTPClient(http)
	texts, textsErr := sms.NewTwilio(sms.TwilioConfig{
		AccountSID: twilioAccount, AuthToken: twilioToken,
		From:   "+14155550199",
		API:    s.url, // the default is Twilio's own
		Client: client,
	})
	if err := errors.Join(mailErr, clientErr, textsErr); err != nil {
		return nil, nil, err
	}
	channels, err := standard.New(standard.Config{HTTP: http, SMTP: mail, SMS: texts})
	return channels, mail, err
}
