package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
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

var secretRotateCommand = command{
	name: "secret rotate", args: "WEBHOOK", short: "Change the signing secret of a webhook",
	long: `
Makes a new secret and prints it. From then on, requests are signed with the new
and the old one, so that the receiver can change in its own time: let it accept
both, rotate, let it accept the new one only, and end the rotation with --end.
The API key has to be one that may reveal secrets.`,
	example: `
(umask 077; webhooks secret rotate wh_0123456789 > secret)
webhooks secret rotate --end wh_0123456789`,
	setup: func(s *flagSet) action {
		var o rotateOptions
		o.declare(s)
		s.StringVar(&o.channel, "channel", "", "`channel` of the webhook, if several can sign")
		s.BoolVar(&o.end, "end", false, "end the rotation: sign with the newest secret only")
		return func(ctx context.Context, a *app, args []string) error { return a.rotate(ctx, o, args[0]) }
	},
}

type rotateOptions struct {
	connection
	channel string
	end     bool
}

func (a *app) rotate(ctx context.Context, o rotateOptions, webhookID string) error {
	c, err := o.client(a)
	if err != nil {
		return err
	}
	if o.end {
		if _, err := c.DropSecrets(ctx, webhookID, o.channel); err != nil {
			return err
		}
		a.notef("Requests are signed with the newest secret only.\n")
		return nil
	}
	about, err := c.About(ctx)
	switch {
	case errors.Is(err, webhook.ErrNotFound): // an older version of the API
	case err != nil:
		return err
	case !about.Reveal:
		return &hintError{errors.New("the API key may not reveal secrets, so nobody would see the new one"),
			"Nothing was changed. Use an API key that may: webhooks keys create --reveal.", exitForbidden}
	}
	made, err := c.RotateSecret(ctx, webhookID, o.channel)
	a.noteUnknown(err, "Requests may be signed with a new secret already, and with those from before. To see a "+
		"new one, rotate once more.\n")
	if err != nil {
		return err
	}
	if made.SigningSecret == api.Mask {
		return &hintError{fmt.Errorf("%s has a new secret, which the API key may not reveal", webhookID),
			"Requests are signed with it and with those from before, so that the receiver still accepts them: " +
				"do not end\nthe rotation, and rotate once more with an API key that may reveal secrets.",
			exitForbidden}
	}
	if a.json {
		return a.object(made)
	}
	a.printf("%s\n", made.SigningSecret)
	if made.VerificationKey != "" {
		a.printf("%s\n", made.VerificationKey)
	}
	if made.Previous > 0 {
		a.notef("Requests are still signed with the previous secret too. Give the receiver the new one, "+
			"then:\n  webhooks secret rotate --end %s\n", webhookID)
	}
	return nil
}
