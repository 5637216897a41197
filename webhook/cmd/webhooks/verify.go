package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/receiver"
)

var verifyCommand = command{
	name: "verify", args: "[REQUEST]", short: "Say why a receiver refuses a request",
	long: `
REQUEST is a file with the raw HTTP request as it arrived: headers, an empty
line, body. Without it, the request comes from the standard input. Or give the
parts: --header for each header, and --body for a file with the body.

The request is checked as a receiver of this library does, with the secrets that
your receiver has. If it is refused, the most likely cause is searched for: a
body that was decoded and encoded again, the text of a secret used in place of
its bytes, a clock, a header that a proxy folded or dropped, and so on.

A request of yesterday is too old today: say with --at when it arrived.`,
	example: `
webhooks verify --secret-file secret request.txt
webhooks verify --secret-file secret --body body.json \
    --header 'webhook-id: evt_1' --header 'webhook-timestamp: 1767225600' \
    --header 'webhook-signature: v1,…' --at 2026-01-01T00:00:02Z`,
	setup: func(s *flagSet) action {
		var o verifyOptions
		o.declare(s)
		s.Var(&o.headers, "header", "`header` of the request, as 'name: value'; may be repeated")
		s.StringVar(&o.body, "body", "", "`file` with the body, if there is no REQUEST")
		s.Var(&o.at, "at", "`time` at which the request arrived (default now)")
		s.DurationVar(&o.tolerance, "tolerance", signature.DefaultTolerance,
			"how far the receiver lets the timestamp be off")
		s.BoolVar(&o.anyBody, "any-body", false, "do not require that the body is an event")
		return func(_ context.Context, a *app, args []string) error { return a.verify(o, first(args)) }
	},
}

type verifyOptions struct {
	credentials
	headers   listValue
	body      string
	at        timeValue
	tolerance time.Duration
	anyBody   bool
}

// verdict is the answer of "verify".
type verdict struct {
	Accepted bool `json:"accepted"`
	// Status is what a receiver answers.
	Status int `json:"status"`
	// Reason names the kind of cause for programs, such as "body_changed".
	Reason string `json:"reason,omitempty"`
	Cause  string `json:"cause,omitempty"`
	Remedy string `json:"remedy,omitempty"`
	// EventID and SignedAt are what was signed, if it is authentic.
	EventID  string    `json:"event_id,omitempty"`
	SignedAt time.Time `json:"signed_at,omitzero"`
	// Key is the number, from 1, of the secret that signed. 0 if there is no signature.
	Key int `json:"key,omitempty"`
}

func (a *app) verify(o verifyOptions, file string) error {
	var v *verdict
	x := &examination{at: o.at.Time, tolerance: o.tolerance, anyBody: o.anyBody,
		staticHeader: textproto.CanonicalMIMEHeaderKey(o.staticHeader)}
	err := a.readExamination(x, o, file)
	if err != nil {
		return err
	}
	if v, err = x.verdict(); err != nil {
		return err
	}
	if a.json {
		err = a.object(v)
	} else {
		a.printVerdict(v)
	}
	if err == nil && !v.Accepted {
		return errNo
	}
	return err
}

func (a *app) readExamination(x *examination, o verifyOptions, file string) (err error) {
	if o.tolerance <= 0 {
		return usagef("--tolerance must be positive")
	}
	if x.secrets, err = o.signing(a); err != nil {
		return err
	}
	if x.static, err = o.static(a); err != nil {
		return err
	}
	if len(x.secrets) == 0 && x.static == "" {
		return noSecret()
	}
	if x.at.IsZero() {
		x.at = time.Now()
	}
	if len(o.headers) == 0 && o.body == "" {
		raw, err := a.readInput(file, "the request")
		if err != nil {
			return err
		}
		x.capture, err = parseCapture(raw)
		return err
	}
	if file != "" {
		return usagef("give REQUEST, or --header and --body, but not both")
	}
	raw := strings.Join(o.headers, "\r\n")
	if !strings.Contains(strings.ToLower("\n"+raw), "\ncontent-type:") {
		raw += "\r\nContent-Type: application/json"
	}
	if x.capture, err = parseCapture([]byte(strings.TrimLeft(raw, "\r\n"))); err != nil {
		return err
	}
	body, err := a.readInput(o.body, "the body")
	if err != nil {
		return err
	}
	return x.capture.setBody(body)
}

func (a *app) printVerdict(v *verdict) {
	if v.Accepted {
		a.printf("%s", a.green(a.stdout, "accepted"))
		if v.EventID != "" {
			a.printf(": %s", visible(v.EventID))
		}
		if v.Key > 0 {
			a.printf(", signed by secret %d at %s", v.Key, v.SignedAt.Format(time.RFC3339))
		}
		a.printf("\n")
		return
	}
	a.printf("%s with %d: %s\n", a.red(a.stdout, "refused"), v.Status, v.Reason)
	a.printf("%s\n", wrap("cause   ", visible(v.Cause)))
	a.printf("%s\n", wrap("remedy  ", visible(v.Remedy)))
}

// wrap breaks a text into lines of at most 80 columns, with the label before the first.
func wrap(label, text string) string {
	const width = 80
	var b strings.Builder
	b.WriteString(label)
	column := len(label)
	for i, word := range strings.Fields(text) {
		switch {
		case i > 0 && column+1+len(word) > width:
			b.WriteString("\n" + strings.Repeat(" ", len(label)))
			column = len(label)
		case i > 0:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}

// examination looks for the reason why a receiver refuses a request.
type examination struct {
	*capture
	secrets      []string // as they are configured at the receiver
	static       string
	staticHeader string
	at           time.Time
	tolerance    time.Duration
	anyBody      bool

	keys []signature.Key // of the secrets that are valid
}

// forEver is a tolerance that no timestamp exceeds: the signature is judged first, and its age last.
const forEver = 1<<63 - 1

// verdict checks the request as a receiver does.
func (x *examination) verdict() (*verdict, error) {
	if len(x.secrets) > 0 {
		if v := x.parseSecrets(); v != nil {
			return v, nil
		}
	}
	cfg := receiver.Config{AllowHTTP: true, MaxBody: maxInput, SecretHeader: x.staticHeader,
		Logger: slog.New(slog.DiscardHandler)}
	if x.static != "" {
		if strings.TrimSpace(x.static) != x.static {
			return refused("static_secret_format", "The receiver's secret has blanks around it, which "+
				"headers lose in transit.", remedyBlanks), nil
		}
		cfg.Secrets = []receiver.Secret{{Value: x.static}}
	}
	if len(x.keys) > 0 {
		var err error
		if cfg.Signature, err = x.verifier(forEver); err != nil {
			return nil, usagef("the signing secrets: %v", err)
		}
	}
	if x.anyBody {
		cfg.Decode = func(http.Header, []byte) (*event.Event, error) { return &event.Event{}, nil }
	}
	rcv, err := receiver.New(cfg)
	if err != nil {
		return nil, usagef("%v", err)
	}
	d, err := rcv.Check(x.request())
	if err != nil {
		var rejection *receiver.Rejection
		if !errors.As(err, &rejection) {
			return nil, err
		}
		v := x.diagnose(rejection)
		v.Status = rejection.Status
		return v, nil
	}
	v := &verdict{Accepted: true, Status: http.StatusOK, EventID: d.Event.ID}
	if len(x.keys) > 0 {
		if late := x.clock(d.Signed.Timestamp); late != nil {
			return late, nil
		}
		v.EventID, v.SignedAt, v.Key = d.Signed.ID, d.Signed.Timestamp, d.Signed.Key+1
	}
	return v, nil
}

func (x *examination) verifier(tolerance time.Duration) (*signature.Verifier, error) {
	cfg := signature.Config{Tolerance: tolerance}
	for _, key := range x.keys {
		cfg.Keys = append(cfg.Keys, signature.VerifyKey{Key: key})
	}
	return signature.NewVerifier(cfg)
}
