package main

import (
	"crypto/tls"
	"errors"

	"github.com/mixpeek/webhooks-go/channel"
)

// newChannels configures how events leave this process: its accounts, and what
// it may connect to. Whom they go to is up to each subscription.
func newChannels(s *standIns) (*channel.Registry, *channel.SMTP, error) {
	trust := &tls.Config{RootCAs: s.roots}
	http := channel.HTTPConfig{
		TLS: trust, // without it: the roots of the system
		// The servers of the story are on loopback, and one speaks plain HTTP.
		// Both are refused unless they are allowed: do so in development only.
		AllowHTTP: true, AllowPrivate: true,
	}
	mail, mailErr := channel.NewSMTP(channel.SMTPConfig{
		Host: s.mailHost, Port: s.mailPort, // the default is port 587, with STARTTLS
		From:     "Webhooks <webhooks@example.com>",
		Username: mailUser, Password: mailPassword,
		TLSConfig: trust,
	})
	texts, textsErr := channel.NewTwilio(channel.TwilioConfig{
		AccountSID: twilioAccount, AuthToken: twilioToken,
		From:   "+14155550199",
		API:    s.url, // the default is Twilio's own
		Client: channel.NewHTTPClient(http),
	})
	if err := errors.Join(mailErr, textsErr); err != nil {
		return nil, nil, err
	}
	channels, err := channel.Standard(channel.StandardConfig{HTTP: http, SMTP: mail, SMS: texts})
	return channels, mail, err
}
