package receivertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/signature"
)

func wrongSecret(ctx context.Context, s *suite) error {
	name := s.secretHeader()
	var errs []error
	for what, change := range map[string]func(*http.Request){
		"no secret":            func(r *http.Request) { r.Header.Del(name) },
		"an empty secret":      func(r *http.Request) { r.Header.Set(name, "") },
		"another secret":       func(r *http.Request) { r.Header.Set(name, rand.Text()) },
		"part of the secret":   func(r *http.Request) { r.Header.Set(name, s.Secret[:len(s.Secret)-1]) },
		"more than the secret": func(r *http.Request) { r.Header.Set(name, s.Secret+"x") },
		"two secrets":          func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = []string{s.Secret, rand.Text()} },
	} {
		m := s.message()
		m.change = change
		_, err := s.unauthorized(ctx, what, m)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// wrongSecretEarly announces a body and does not send it.
func wrongSecretEarly(ctx context.Context, s *suite) error {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m := s.message()
	m.Secret = rand.Text()
	got, err := s.stall(ctx, m, 0)
	switch {
	case err != nil:
		return fmt.Errorf("a wrong secret before its body: %w", err)
	case !got.refused():
		return fmt.Errorf("a wrong secret before its body: answered %d instead of 401", got.status)
	}
	return nil
}

func wrongSignature(ctx context.Context, s *suite) error {
	stranger, err := signature.NewSigner(signature.NewKey())
	if err != nil {
		return err
	}
	shifted, err := s.shifted()
	if err != nil {
		return err
	}
	unsigned, forged := s.message(), s.message()
	unsigned.Signer, forged.Signer = nil, stranger
	changed := func(change func(*http.Request)) message {
		m := s.message()
		m.change = change
		return m
	}
	var errs []error
	for what, m := range map[string]message{
		"no signature":                unsigned,
		"a signature by another key":  forged,
		"an empty signature":          changed(func(r *http.Request) { r.Header.Set(signature.HeaderSignature, "") }),
		"no id":                       changed(func(r *http.Request) { r.Header.Del(signature.HeaderID) }),
		"no timestamp":                changed(func(r *http.Request) { r.Header.Del(signature.HeaderTimestamp) }),
		"another id":                  changed(func(r *http.Request) { r.Header.Set(signature.HeaderID, event.NewID()) }),
		"another body":                changed(func(r *http.Request) { setBody(r, s.message().body) }),
		"a body shifted into the id":  shifted,
		"a timestamp with a plus":     changed(func(r *http.Request) { prefixTimestamp(r, "+") }),
		"a timestamp with a zero":     changed(func(r *http.Request) { prefixTimestamp(r, "0") }),
		"the signature as a v1a one":  changed(func(r *http.Request) { relabel(r, "v1a") }),
		"the signature of no version": changed(func(r *http.Request) { relabel(r, "v0") }),
	} {
		_, err := s.unauthorized(ctx, what, m)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func severalSignatures(ctx context.Context, s *suite) error {
	const most = 16
	with := func(change func(mine string, n int) []string) message {
		m := s.message()
		m.change = func(r *http.Request) {
			mine := r.Header.Get(signature.HeaderSignature)
			r.Header[signature.HeaderSignature] = change(mine, len(strings.Fields(mine)))
		}
		return m
	}
	var errs []error
	for what, m := range map[string]message{
		"the last of 16 signatures": with(func(mine string, n int) []string {
			return []string{others(mine, (most-n)/n) + mine}
		}),
		"a signature on a line of its own": with(func(mine string, _ int) []string {
			return []string{others(mine, 1), mine}
		}),
		"signatures joined with a comma": with(func(mine string, _ int) []string {
			return []string{others(mine, 1) + ", " + mine}
		}),
	} {
		errs = append(errs, s.accepted(ctx, what, m))
	}
	_, err := s.unauthorized(ctx, "a signature after 16 others", with(func(mine string, _ int) []string {
		return []string{others(mine, most) + mine}
	}))
	return errors.Join(append(errs, err)...)
}

// others returns so many wrong signatures for each right one, and of its version: a
// receiver need not count versions that it does not know.
func others(mine string, n int) string {
	var b strings.Builder
	for _, right := range strings.Fields(mine) {
		version, mac, _ := strings.Cut(right, ",")
		digits := strings.TrimRight(mac, "=")
		wrong := version + "," + strings.Repeat("A", len(digits)) + mac[len(digits):] + " "
		b.WriteString(strings.Repeat(wrong, n))
	}
	return b.String()
}

func signedID(ctx context.Context, s *suite) error {
	m := s.message()
	inside := m.id
	m.id = event.NewID()
	if _, err := s.turnedAway(ctx, "another id signed", m, "400", answer.clientError); err != nil {
		return err
	}
	return s.handled(ctx, inside, 0)
}

func setBody(r *http.Request, body []byte) {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.GetBody = nil
}

func prefixTimestamp(r *http.Request, prefix string) {
	r.Header.Set(signature.HeaderTimestamp, prefix+r.Header.Get(signature.HeaderTimestamp))
}

// relabel says of the signatures that they are of a version which no key makes.
func relabel(r *http.Request, version string) {
	signatures := strings.Fields(r.Header.Get(signature.HeaderSignature))
	for i, s := range signatures {
		if is, mac, _ := strings.Cut(s, ","); is != version {
			signatures[i] = version + "," + mac
		} else {
			signatures[i] = "v1," + mac
		}
	}
	r.Header.Set(signature.HeaderSignature, strings.Join(signatures, " "))
}

// shifted makes a message whose signature was made for another cut of the same
// bytes: what is signed is id.timestamp.body, and the beginning of the body can
// become the end of the id unless ids with dots are refused.
func (s *suite) shifted() (message, error) {
	m := s.message()
	id, at := event.NewID(), m.at.Unix()
	h := make(http.Header)
	if err := s.Apply(h, id, m.at, fmt.Appendf(nil, "%d.%s", at, m.body)); err != nil {
		return m, err
	}
	m.change = func(r *http.Request) {
		r.Header.Set(signature.HeaderID, fmt.Sprintf("%s.%d", id, at))
		r.Header.Set(signature.HeaderSignature, h.Get(signature.HeaderSignature))
	}
	return m, nil
}

func oldTimestamp(ctx context.Context, s *suite) error {
	var errs []error
	for what, shift := range map[string]time.Duration{"an hour old": -time.Hour, "an hour ahead": time.Hour} {
		m := s.message()
		m.at = m.at.Add(shift)
		_, err := s.unauthorized(ctx, "a signature "+what, m)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func uniformRefusal(ctx context.Context, s *suite) error {
	bare := s.message()
	bare.Credentials = Credentials{}
	messages := map[string]message{}
	if s.Secret != "" {
		wrong := s.message()
		wrong.Secret = rand.Text()
		messages["a wrong secret"] = wrong
	}
	if s.Signer != nil {
		old, other := s.message(), s.message()
		old.at = old.at.Add(-time.Hour)
		other.change = func(r *http.Request) { setBody(r, s.message().body) }
		messages["an old timestamp"], messages["another body"] = old, other
	}
	want, err := s.unauthorized(ctx, "no credentials", bare)
	errs := []error{err}
	for what, m := range messages {
		got, err := s.unauthorized(ctx, what, m)
		if err == nil && got != want {
			err = fmt.Errorf("%s: answered %d %q, no credentials %d %q", what, got.status, got.body, want.status, want.body)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
