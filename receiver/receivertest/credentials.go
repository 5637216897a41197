package receivertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/signature"
)

func wrongSecret(ctx context.Context, s *suite) error {
	name := http.CanonicalHeaderKey(s.secretHeader())
	set := func(values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	first, last := s.Secret[:1], s.Secret[len(s.Secret)-1:]
	changes := map[string]func(*http.Request){
		"no secret":                        set(),
		"an empty secret":                  set(""),
		"another secret":                   set(rand.Text()),
		"another secret of that length":    set(strings.Repeat("z", len(s.Secret)-1) + other(last)),
		"part of the secret":               set(s.Secret[:len(s.Secret)-1]),
		"the end of the secret":            set(s.Secret[1:]),
		"more than the secret":             set(s.Secret + "x"),
		"more than the secret, in front":   set("x" + s.Secret),
		"a secret with another last byte":  set(s.Secret[:len(s.Secret)-1] + other(last)),
		"a secret with another first byte": set(other(first) + s.Secret[1:]),
		"two secrets, the first right":     set(s.Secret, rand.Text()),
		"two secrets, the last right":      set(rand.Text(), s.Secret),
		"a secret that is joined":          set(s.Secret + ", " + rand.Text()),
	}
	if swapped := swapCase(s.Secret); swapped != s.Secret {
		changes["the secret in another case"] = set(swapped)
	}
	var errs []error
	for what, change := range changes {
		m := s.message()
		m.change = change
		_, err := s.unauthorized(ctx, what, m)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// other returns a byte other than b.
func other(b string) string {
	if b == "x" {
		return "y"
	}
	return "x"
}

// swapCase swaps upper and lower case.
func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, s)
}

// wrongSecretEarly announces a body and does not send it.
func wrongSecretEarly(ctx context.Context, s *suite) error {
	const within = 3 * time.Second // long enough for a busy machine
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	m := s.message()
	m.Secret = rand.Text()
	got, err := s.stall(ctx, m, 0)
	switch {
	case err != nil:
		return fmt.Errorf("a wrong secret before its body: %w; %s", err, proxyHint)
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
		"no signature":               unsigned,
		"a signature by another key": forged,
		"an empty signature": changed(func(r *http.Request) {
			r.Header.Set(signature.HeaderSignature, "")
		}),
		"no header for the signature": changed(func(r *http.Request) {
			r.Header.Del(signature.HeaderSignature)
		}),
		"no id": changed(func(r *http.Request) {
			r.Header.Del(signature.HeaderID)
		}),
		"no timestamp": changed(func(r *http.Request) {
			r.Header.Del(signature.HeaderTimestamp)
		}),
		"another id": changed(func(r *http.Request) {
			r.Header.Set(signature.HeaderID, event.NewID())
		}),
		"another timestamp": changed(func(r *http.Request) { laterTimestamp(r) }),
		"nothing for a signature": changed(func(r *http.Request) {
			eachMAC(r, func(string) string { return "" })
		}),
		"a version alone": changed(func(r *http.Request) {
			r.Header.Set(signature.HeaderSignature, "v1")
		}),
		"a signature of padding": changed(func(r *http.Request) {
			eachMAC(r, func(string) string { return "=" })
		}),
		"one byte of the signature": changed(func(r *http.Request) {
			eachMAC(r, func(mac string) string { return mac[:1] })
		}),
		"half of the signature": changed(func(r *http.Request) {
			eachMAC(r, func(mac string) string { return mac[:len(mac)/8*4] })
		}),
		"all but the signature's end": changed(func(r *http.Request) {
			eachMAC(r, func(mac string) string { return mac[:len(mac)-4] })
		}),
		"the signature's end": changed(func(r *http.Request) {
			eachMAC(r, func(mac string) string { return mac[4:] })
		}),
		"a signature with another first byte": changed(func(r *http.Request) {
			eachMAC(r, func(mac string) string { return other(mac[:1]) + mac[1:] })
		}),
		"a signature with another last byte": changed(func(r *http.Request) {
			eachMAC(r, func(mac string) string {
				return mac[:len(mac)-4] + other(mac[len(mac)-4:len(mac)-3]) + mac[len(mac)-3:]
			})
		}),
		"a signature in another case": changed(func(r *http.Request) { eachMAC(r, swapCase) }),
		"a signature without a version": changed(func(r *http.Request) {
			r.Header.Set(signature.HeaderSignature,
				strings.Join(macs(r.Header.Get(signature.HeaderSignature)), " "))
		}),
		"another body": changed(func(r *http.Request) {
			setBody(r, s.message().body)
		}),
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
		"the first of two signatures": with(func(mine string, _ int) []string {
			return []string{mine + " " + others(mine, 1)}
		}),
		"a signature on the first of two lines": with(func(mine string, _ int) []string {
			return []string{mine, others(mine, 1)}
		}),
		"a signature on the last of two lines": with(func(mine string, _ int) []string {
			return []string{others(mine, 1), mine}
		}),
		"a signature after one of a version that is not known": with(func(mine string, _ int) []string {
			return []string{"v9,AAAA " + mine}
		}),
		"signatures joined with a comma": with(func(mine string, _ int) []string {
			return []string{others(mine, 1) + ", " + mine}
		}),
		"signatures joined with a comma, the first right": with(func(mine string, _ int) []string {
			return []string{mine + ", " + others(mine, 1)}
		}),
	} {
		errs = append(errs, s.accepted(ctx, what, m))
	}
	_, err := s.unauthorized(ctx, "a signature after 16 others",
		with(func(mine string, _ int) []string {
			return []string{others(mine, most) + mine}
		}))
	return errors.Join(append(errs, err)...)
}

// others returns n wrong signatures for each right one, of the same version: a receiver
// need not count versions that it does not know.
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

// eachMAC changes the signatures but not their versions.
func eachMAC(r *http.Request, change func(string) string) {
	signatures := strings.Fields(r.Header.Get(signature.HeaderSignature))
	for i, s := range signatures {
		version, mac, _ := strings.Cut(s, ",")
		signatures[i] = version + "," + change(mac)
	}
	r.Header.Set(signature.HeaderSignature, strings.Join(signatures, " "))
}

// laterTimestamp makes the timestamp one second later.
func laterTimestamp(r *http.Request) {
	at, _ := strconv.ParseInt(r.Header.Get(signature.HeaderTimestamp), 10, 64) // the suite wrote it
	r.Header.Set(signature.HeaderTimestamp, strconv.FormatInt(at+1, 10))
}

func prefixTimestamp(r *http.Request, prefix string) {
	r.Header.Set(signature.HeaderTimestamp, prefix+r.Header.Get(signature.HeaderTimestamp))
}

// relabel gives the signatures a version that their keys do not make.
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

// shifted returns a message whose signature was made for the same bytes with another border
// between id and body: id.timestamp.body is signed, so that the beginning of the body can
// become the end of the id if the receiver accepts ids with dots.
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
	for what, shift := range map[string]time.Duration{"an hour old": -time.Hour,
		"an hour ahead": time.Hour} {
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
	want, err := s.steady(ctx, "no credentials", bare)
	errs := []error{err}
	for what, m := range messages {
		got, err := s.steady(ctx, what, m)
		if err == nil {
			err = got.differs(want)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", what, err)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// steady sends a message twice and returns the answer without the headers that differ, such
// as the id of a request.
func (s *suite) steady(ctx context.Context, what string, m message) (answer, error) {
	one, err1 := s.unauthorized(ctx, what, m)
	two, err2 := s.unauthorized(ctx, what, m)
	if err := errors.Join(err1, err2); err != nil {
		return answer{}, err
	}
	one.header = one.header.Clone()
	for name, lines := range one.header {
		if !slices.Equal(lines, two.header[name]) {
			delete(one.header, name)
		}
	}
	return one, nil
}

// differs returns an error if a refusal differs from that of a request without credentials.
func (a answer) differs(want answer) error {
	if a.status != want.status || a.body != want.body {
		return fmt.Errorf("answered %d %q, no credentials %d %q", a.status, a.body, want.status,
			want.body)
	}
	for name, lines := range a.header {
		switch name {
		case "Date", "Connection", "Keep-Alive": // set by the server
		default:
			if !slices.Equal(lines, want.header[name]) {
				return fmt.Errorf("answered with the header %s: %q, no credentials %q", name, lines,
					want.header[name])
			}
		}
	}
	return nil
}

// headerCase sends header names in lower and in upper case.
func headerCase(ctx context.Context, s *suite) error {
	var errs []error
	for what, spell := range map[string]func(string) string{"lower case": strings.ToLower,
		"upper case": strings.ToUpper} {
		m := s.message()
		m.change = func(r *http.Request) {
			spelt := make(http.Header)
			for name, lines := range r.Header {
				spelt[spell(name)] = lines
			}
			r.Header = spelt
		}
		errs = append(errs, s.accepted(ctx, "header names in "+what, m))
	}
	return errors.Join(errs...)
}

func otherCredentials(ctx context.Context, s *suite) error {
	var errs []error
	for i, c := range s.Others {
		m := s.message()
		m.Credentials = c
		errs = append(errs, s.accepted(ctx, fmt.Sprintf("Options.Others[%d]", i), m))
	}
	return errors.Join(errs...)
}

func retiredCredentials(ctx context.Context, s *suite) error {
	var errs []error
	for i, c := range s.Retired {
		m := s.message()
		m.Credentials = c
		_, err := s.unauthorized(ctx, fmt.Sprintf("Options.Retired[%d]", i), m)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
