package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event/signature"
)

var signCommand = command{
	name: "sign", args: "[BODY]", short: "Sign a request body as a sender does",
	long: `
BODY is a file with the exact bytes of the body; without it, they come from the
standard input. The headers are printed one on each line, as curl reads them
from -H @file. With --to, the whole request is printed, as "webhooks verify"
reads it.

The id is --id, or else the event_id of the body. With several secrets the
request has a signature of each, as during a rotation.`,
	example: `
(umask 077; webhooks secret new > secret)
webhooks sign --secret-file secret event.json > headers
curl -H @headers -H 'Content-Type: application/json' --data-binary @event.json \
    http://127.0.0.1:8081/webhooks`,
	setup: func(s *flagSet) action {
		var o signOptions
		o.declare(s)
		s.StringVar(&o.id, "id", "", "`id` to sign (default the event_id of the body)")
		s.Var(&o.at, "at", "`time` of the request (default now)")
		s.StringVar(&o.to, "to", "", "print the whole request to this `url`")
		return func(_ context.Context, a *app, args []string) error { return a.sign(o, first(args)) }
	},
}

type signOptions struct {
	credentials
	id, to string
	at     timeValue
}

func (a *app) sign(o signOptions, file string) error {
	keys, err := o.keys(a)
	if err != nil {
		return err
	}
	static, err := o.static(a)
	if err != nil {
		return err
	}
	if len(keys) == 0 && static == "" {
		return noSecret()
	}
	body, err := a.readInput(file, "the body")
	if err != nil {
		return err
	}
	var envelope struct {
		ID string `json:"event_id"`
	}
	if o.id == "" && json.Unmarshal(body, &envelope) == nil {
		o.id = envelope.ID
	}
	if o.id == "" && len(keys) > 0 {
		return usagef("the body has no event_id: name the id to sign with --id")
	}
	if o.at.IsZero() {
		o.at.Time = time.Now()
	}
	header := http.Header{}
	if static != "" {
		header.Set(o.staticHeader, static)
	}
	if len(keys) > 0 {
		signer, err := signature.NewSigner(keys...)
		if err != nil {
			return usagef("the signing secrets: %v", err)
		}
		if err := signer.Sign(header, o.id, o.at.Time, body); err != nil {
			return usagef("%v", err)
		}
	}
	return a.printSigned(o, header, body)
}

// printSigned prints the headers, or the whole request.
func (a *app) printSigned(o signOptions, header http.Header, body []byte) error {
	if o.to != "" {
		u, err := url.Parse(o.to)
		if err != nil || u.Host == "" {
			return usagef("--to must be a URL, such as https://example.com/webhooks")
		}
		a.printf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n",
			u.RequestURI(), u.Host, len(body))
	}
	names := []string{signature.HeaderID, signature.HeaderTimestamp, signature.HeaderSignature,
		http.CanonicalHeaderKey(o.staticHeader)}
	if a.json && o.to == "" {
		values := map[string]string{}
		for _, name := range names {
			if v := header.Get(name); v != "" {
				values[strings.ToLower(name)] = v
			}
		}
		return a.object(values)
	}
	end := "\n"
	if o.to != "" {
		end = "\r\n"
	}
	for _, name := range names {
		if v := header.Get(name); v != "" {
			a.printf("%s: %s%s", strings.ToLower(name), v, end)
		}
	}
	if o.to != "" {
		a.printf("\r\n%s", body)
	}
	return nil
}

func noSecret() error {
	return &hintError{usagef("no secret"), "Put signing secrets into --secret-file or " +
		envSigningSecret + ", or a static secret into --static-secret-file or " + envStaticSecret + ".",
		exitUsage}
}

// first returns the first argument, or "".
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
