package main

import (
	"context"

	"github.com/mixpeek/webhooks-go/event/signature"
)

var secretNewCommand = command{
	name: "secret new", short: "Make a signing secret",
	long: `
Prints a secret that sender and receiver share (whsec_, HMAC-SHA256). With
--ed25519 prints a key pair: the first line is the sender's (whsk_), the second
is for receivers (whpk_), who cannot sign with it.`,
	example: `(umask 077; webhooks secret new > secret)`,
	setup: func(s *flagSet) action {
		pair := s.Bool("ed25519", false, "make a key pair instead of a shared secret")
		return func(_ context.Context, a *app, _ []string) error { return a.newSecret(*pair) }
	},
}

// secretInfo is the answer of "secret new" as JSON.
type secretInfo struct {
	SigningSecret   string `json:"signing_secret"`
	VerificationKey string `json:"verification_key,omitempty"`
}

func (a *app) newSecret(pair bool) error {
	key := signature.NewKey()
	if pair {
		key = signature.NewKeyPair()
	}
	info := secretInfo{SigningSecret: key.Reveal()}
	if public, ok := key.Public(); ok {
		info.VerificationKey = public.Reveal()
	}
	if a.json {
		return a.object(info)
	}
	a.printf("%s\n", info.SigningSecret)
	if info.VerificationKey != "" {
		a.printf("%s\n", info.VerificationKey)
	}
	return nil
}
