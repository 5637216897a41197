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

// DefaultSecretHeader carries the static secret unless [Config.SecretHeader]
// says otherwise.
const DefaultSecretHeader = "X-Mixpeek-Secret"

// shortSecret is the length in bytes below which a secret is warned about.
// It is no error: secrets of 12 characters are in use.
const shortSecret = 16

const redacted = "[redacted]"

// A Secret is a shared secret that the sender puts in a header as it is. It
// proves who sends, not what is sent: prefer signatures where the sender can
// make them. A Secret is never printed by fmt, slog or encoding/json.
type Secret struct {
	// Value is the secret. At least 16 random characters are advised.
	Value string
	// NotAfter is the last moment at which the secret is accepted, so that an
	// old one can fade out while senders change over. Zero means for ever.
	NotAfter time.Time
}

// Format prints a placeholder, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText returns a placeholder.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// secretChecker compares hashes, so that neither the length of a secret nor
// how much of it was right can be told from the time that it takes.
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
			problems.Add(field, "is required")
		case strings.TrimSpace(s.Value) != s.Value:
			problems.Add(field, "must not begin or end with white space: no header arrives with it")
		case strings.ContainsFunc(s.Value, isControl):
			problems.Add(field, "must not hold control characters: no header can carry them")
		}
		c.secrets = append(c.secrets, hashedSecret{sum: sha256.Sum256([]byte(s.Value)), notAfter: s.NotAfter})
	}
	return c
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// offered reports whether the request carries the header at all.
func (c *secretChecker) offered(h http.Header) bool { return len(h[c.header]) > 0 }

// check compares with every secret, also after one has matched, and returns the
// index of the one that did. A header that comes twice is refused even if one is
// right: something between the sender and this process has added one, and it is
// unknown which of the two.
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
