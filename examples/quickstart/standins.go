package main

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"

	"github.com/emersion/go-smtp"
)

// standIns are local servers in the place of Slack, Twilio and a mail server.
// They speak TLS, refuse what the real ones would refuse, and keep what they
// accept.
type standIns struct {
	url      string // of Slack and Twilio
	mailHost string
	mailPort int
	roots    *x509.CertPool // trusts their certificate

	web  *httptest.Server
	mail *smtp.Server

	mu       sync.Mutex
	accepted map[string][]string // what people would read, by channel
}

func startStandIns(ctx context.Context) (*standIns, error) {
	s := &standIns{accepted: make(map[string][]string)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+slackPath, s.slack)
	mux.HandleFunc("POST "+twilioPath, s.twilio)
	s.web = httptest.NewTLSServer(mux)
	s.url = s.web.URL
	s.roots = x509.NewCertPool()
	s.roots.AddCert(s.web.Certificate())
	if err := s.startMail(ctx, s.web.TLS.Certificates); err != nil {
		s.web.Close()
		return nil, err
	}
	return s, nil
}

func (s *standIns) accept(channel, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted[channel] = append(s.accepted[channel], text)
}

// received lists what a channel has brought.
func (s *standIns) received(channel string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.accepted[channel])
}

func (s *standIns) close() error {
	s.web.Close()
	return s.mail.Close()
}
