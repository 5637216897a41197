package receiver

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// DefaultSecretHeader is the name of the header with the static secret, as the contract of
// the Mixpeek platform has it. [Config.SecretHeader] changes it.
const DefaultSecretHeader = "X-Mixpeek-Secret"

// shortSecret is the length in bytes below which a secret is warned about. It is not an
// error, because secrets of 12 characters are in use.
const shortSecret = 16

const redacted = "[redacted]"

// A Secret is a shared secret that the sender puts in a header. It authenticates the
// sender but not the body: prefer signatures if the sender can make them. fmt, slog and
// encoding/json print a placeholder for it.
type Secret struct {
	// Value is the secret. It should have at least 16 random characters.
	Value string
	// NotAfter is the last moment at which the secret is accepted, for the old secret
	// while senders change to a new one. The zero time means that it does not expire.
	NotAfter time.Time
}

// Format prints a placeholder, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText returns a placeholder.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// secretChecker compares hashes, so that the time it takes tells neither the length of a
// secret nor how much of it was right.
type secretChecker struct {
	header  string
	secrets []hashedSecret
}

type hashedSecret struct {
	sum      [sha256.Size]byte
	notAfter time.Time
}

func newSecretChecker(header string, secrets []Secret, problems *event.Problems) *secretChecker {
	if len(secrets) == 0 {
		return nil
	}
	c := &secretChecker{header: http.CanonicalHeaderKey(header)}
	for i, s := range secrets {
		field := fmt.Sprintf("Secrets[%d].Value", i)
		switch {
		case s.Value == "":
			problems.Required(field)
		case strings.TrimSpace(s.Value) != s.Value:
			problems.Add(field,
				"must not begin or end with white space, which headers lose in transit")
		case strings.ContainsFunc(s.Value, isControl):
			problems.Add(field, "must not hold control characters, which headers cannot carry")
		}
		c.secrets = append(c.secrets, hashedSecret{sum: sha256.Sum256([]byte(s.Value)),
			notAfter: s.NotAfter})
	}
	return c
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// offered reports whether the request has the header.
func (c *secretChecker) offered(h http.Header) bool { return len(h[c.header]) > 0 }

// check compares the header with every secret, even after one has matched, and returns
// the index of the one that did. A repeated header is refused even if one value is right,
// because it is unknown which of them the sender has sent.
func (c *secretChecker) check(h http.Header, now time.Time) (int, error) {
	values := h[c.header]
	switch len(values) {
	case 0:
		return 0, ErrSecretMissing
	case 1:
	default:
		return 0, ErrSecretRepeated
	}
	var buf [128]byte // room for nearly every secret, on the stack
	sum := sha256.Sum256(append(buf[:0], values[0]...))
	matched, index := 0, 0
	for i := range c.secrets {
		s := &c.secrets[i]
		equal := subtle.ConstantTimeCompare(sum[:], s.sum[:])
		if s.notAfter.IsZero() || !now.After(s.notAfter) {
			matched |= equal
			index = subtle.ConstantTimeSelect(equal, i, index)
		}
	}
	if matched != 1 {
		return 0, ErrSecretMismatch
	}
	return index, nil
}
