package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"regexp"
	"strings"

	"github.com/mixpeek/webhooks-go/event"
)

// KeySize is the length of a key's secret, in bytes.
const KeySize = 32

var idPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Key is a secret with an id, by which sealed values name it. The zero Key has no secret; [New]
// returns an error for it. Keys are safe for concurrent use.
//
// A printed key, in any format and also through [log/slog], shows its id and nothing of its secret.
// [Key.Reveal] returns its text.
type Key struct {
	id string
	// A function, so that reflection does not find the secret: fmt does not call the methods of a Key
	// in an unexported field.
	secret func() []byte
}

// NewKey makes a key of random bytes. The id has 1 to 64 letters, digits, dots, underscores and
// hyphens, for example the month: "2026-11". Do not give the same id to two secrets: values that
// were sealed with one of them could then not be opened. The error is an [*event.ValidationError].
func NewKey(id string) (Key, error) {
	secret := make([]byte, KeySize)
	_, _ = rand.Read(secret) // never fails, see crypto/rand
	return RawKey(id, secret)
}

// ParseKey reads a key in its textual form: the id, a colon, and 32 bytes in strict standard base64
// with padding (RFC 4648, section 4): no white space, no line breaks. The error is an
// [*event.ValidationError], and shows nothing of the text.
func ParseKey(text string) (Key, error) {
	var p event.Problems
	id, encoded, ok := strings.Cut(text, ":")
	if !ok {
		p.Add("key", "must be an id, a colon, and %d bytes in base64", KeySize)
		return Key{}, p.Err()
	}
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || base64.StdEncoding.EncodeToString(secret) != encoded { // line breaks, stray bits
		checkID(&p, id)
		p.Add("secret", "must be strict base64 with padding")
		return Key{}, p.Err()
	}
	return RawKey(id, secret)
}

// RawKey makes a key of the secret's 32 bytes, which it copies. They must be random, not a
// passphrase. The error is an [*event.ValidationError].
func RawKey(id string, secret []byte) (Key, error) {
	var p event.Problems
	checkID(&p, id)
	if len(secret) != KeySize {
		p.Add("secret", "must have %d bytes, has %d", KeySize, len(secret))
	}
	if err := p.Err(); err != nil {
		return Key{}, err
	}
	secret = bytes.Clone(secret)
	return Key{id, func() []byte { return secret }}, nil
}

func checkID(p *event.Problems, id string) {
	if !idPattern.MatchString(id) {
		p.Add("id", "must have 1 to 64 letters, digits, dots, underscores and hyphens, and nothing else")
	}
}

// ID returns the id, which is no secret. Empty for the zero Key.
func (k Key) ID() string { return k.id }

// IsZero reports whether k is the zero Key.
func (k Key) IsZero() bool { return k.secret == nil }

// Reveal returns the key's textual form, which [ParseKey] reads: the secret
// itself, to store where secrets are. Empty for the zero Key.
func (k Key) Reveal() string {
	if k.IsZero() {
		return ""
	}
	return k.id + ":" + base64.StdEncoding.EncodeToString(k.secret())
}

// String returns the id and a mask, such as "2026-11:[redacted]".
func (k Key) String() string {
	if k.IsZero() {
		return "[no key]"
	}
	return k.id + ":[redacted]"
}

// GoString returns what String does.
func (k Key) GoString() string { return k.String() }

// Format writes what String returns, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// LogValue returns what String does.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText returns what String does, so that no encoder of configs and logs
// reveals a key by accident. ParseKey cannot read it: use Reveal for that.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
