package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/mail"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/mixpeek/webhooks-go/channel/email"
)

const mailUser, mailPassword = "webhooks", "a password for the story"

// startMail starts a mail server that asks for STARTTLS and a login.
func (s *standIns) startMail(ctx context.Context, certificates []tls.Certificate) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := listener.Addr().(*net.TCPAddr)
	s.mailHost, s.mailPort = address.IP.String(), address.Port
	s.mail = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session,
		error) {
		return &mailSession{standIns: s}, nil
	}))
	s.mail.TLSConfig = &tls.Config{Certificates: certificates}
	s.mail.ReadTimeout, s.mail.WriteTimeout = 10*time.Second, 10*time.Second
	s.mail.ErrorLog = log.New(io.Discard, "", 0)
	go func() { _ = s.mail.Serve(listener) }() // ends with close
	return nil
}

// A mailSession is one connection to the mail server.
type mailSession struct {
	*standIns
	loggedIn bool
	to       string
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(mechanism string) (sasl.Server, error) {
	if mechanism != sasl.Plain {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	return sasl.NewPlainServer(func(_, user, password string) error {
		if s.loggedIn = user == mailUser && password == mailPassword; !s.loggedIn {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (s *mailSession) Mail(string, *smtp.MailOptions) error {
	if !s.loggedIn {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	s.accept(email.Name, fmt.Sprintf("to %s: %s", s.to, m.Header.Get("Subject")))
	return nil
}

func (s *mailSession) Reset()        { s.to = "" }
func (s *mailSession) Logout() error { return nil }
