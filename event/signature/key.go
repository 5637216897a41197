package signature

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"strings"
	"sync"
)

// The prefixes of the textual form of keys.
const (
	prefixSecret  = "whsec_"
	prefixPrivate = "whsk_"
	prefixPublic  = "whpk_"
)

const (
	minSecretLength = 24
	maxSecretLength = 64
	newSecretLength = 32
	maxRawLength    = 1024
)

// ErrInvalidKey is matched by all errors of [ParseKey] and [RawKey]. Their text says what is wrong
// with the key and never quotes it.
var ErrInvalidKey = errors.New("signature: invalid key")

// Key is a signing key: it signs, verifies, or both. [NewSigner] and [NewVerifier] return an error
// for the zero Key. Keys are safe for concurrent use.
//
// A key makes and accepts signatures of one version only: a secret v1 (HMAC-SHA256), an Ed25519
// key v1a.
//
// Printing a key, in any format or through [log/slog], shows only its kind. [Key.Reveal] returns
// its text.
type Key struct {
	// material is a function to hide the secret from reflection: fmt does not call the methods
	// of a Key in an unexported field, and follows pointers for some verbs.
	material func() *material
}

// material is the content of a key.
type material struct {
	prefix string
	bytes  []byte // encoded in the textual form

	mac     *macPool           // v1
	private ed25519.PrivateKey // v1a, nil in a key that only verifies
	public  ed25519.PublicKey  // v1a
}

func keyOf(m material) Key { return Key{func() *material { return &m }} }

// ParseKey parses the textual form of a key:
//
//   - whsec_ and 24 to 64 bytes: signs and verifies v1
//   - whsk_ and 64 bytes, an Ed25519 seed and its public key: signs and verifies v1a
//   - whpk_ and 32 bytes, an Ed25519 public key: verifies v1a
//
// The bytes are in strict base64 with padding (RFC 4648): no white space, no line breaks, and
// unused bits are zero. The error matches [ErrInvalidKey].
func ParseKey(s string) (Key, error) {
	for _, prefix := range []string{prefixSecret, prefixPrivate, prefixPublic} {
		encoded, ok := strings.CutPrefix(s, prefix)
		if !ok {
			continue
		}
		b, err := decodeBase64(encoded)
		if err != nil {
			return Key{}, fmt.Errorf("%w: must be %s and strict base64", ErrInvalidKey, prefix)
		}
		switch prefix {
		case prefixSecret:
			return secretKey(b, maxSecretLength)
		case prefixPrivate:
			return privateKey(b)
		default:
			return publicKey(b)
		}
	}
	return Key{}, fmt.Errorf("%w: must begin with %s, %s or %s", ErrInvalidKey, prefixSecret,
		prefixPrivate, prefixPublic)
}

// RawKey returns a v1 key with these bytes as its secret, 24 to 1024 of them. Use it if the other
// side signs with the text of its key instead of decoding it; otherwise use [ParseKey]. The error
// matches [ErrInvalidKey].
func RawKey(secret []byte) (Key, error) { return secretKey(bytes.Clone(secret), maxRawLength) }

// NewKey returns a new v1 key of 32 random bytes.
func NewKey() Key {
	secret := make([]byte, newSecretLength)
	_, _ = rand.Read(secret) // never fails, see crypto/rand
	return newSecretKey(secret)
}

// NewKeyPair returns a new v1a key. Give its [Key.Public] to the receivers.
func NewKeyPair() Key {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails, see crypto/rand
	return newPrivateKey(ed25519.NewKeyFromSeed(seed))
}

func secretKey(secret []byte, maxLength int) (Key, error) {
	if len(secret) < minSecretLength || len(secret) > maxLength {
		return Key{}, fmt.Errorf("%w: must have %d to %d bytes", ErrInvalidKey, minSecretLength,
			maxLength)
	}
	if len(secret) > sha256.BlockSize {
		// HMAC does the same with a long key (RFC 2104, section 2). Doing it here gives the
		// key a textual form that ParseKey accepts.
		sum := sha256.Sum256(secret)
		secret = sum[:]
	}
	return newSecretKey(secret), nil
}

func newSecretKey(secret []byte) Key {
	return keyOf(material{prefix: prefixSecret, bytes: secret, mac: newMACPool(secret)})
}

func privateKey(b []byte) (Key, error) {
	if len(b) != ed25519.PrivateKeySize {
		return Key{}, fmt.Errorf("%w: must have %d bytes", ErrInvalidKey, ed25519.PrivateKeySize)
	}
	// Signing with a public key that does not belong to the seed would reveal the seed.
	if !bytes.Equal(ed25519.NewKeyFromSeed(b[:ed25519.SeedSize]), b) {
		return Key{}, fmt.Errorf("%w: the public key does not belong to the seed", ErrInvalidKey)
	}
	return newPrivateKey(b), nil
}

func newPrivateKey(private ed25519.PrivateKey) Key {
	public := ed25519.PublicKey(private[ed25519.SeedSize:])
	return keyOf(material{prefix: prefixPrivate, bytes: private, private: private, public: public})
}

func publicKey(b []byte) (Key, error) {
	if len(b) != ed25519.PublicKeySize {
		return Key{}, fmt.Errorf("%w: must have %d bytes", ErrInvalidKey, ed25519.PublicKeySize)
	}
	return keyOf(material{prefix: prefixPublic, bytes: b, public: b}), nil
}

// Public returns the public key that verifies what k signs. It returns false if k is a v1 secret or
// the zero Key.
func (k Key) Public() (Key, bool) {
	if k.IsZero() || k.material().public == nil {
		return Key{}, false
	}
	public := k.material().public
	return keyOf(material{prefix: prefixPublic, bytes: public, public: public}), true
}

// IsZero reports whether k is the zero Key.
func (k Key) IsZero() bool { return k.material == nil }

// Reveal returns the textual form of the key, including its secret, for [ParseKey]. It is empty
// for the zero Key.
func (k Key) Reveal() string {
	if k.IsZero() {
		return ""
	}
	m := k.material()
	return m.prefix + base64.StdEncoding.EncodeToString(m.bytes)
}

// String returns the kind of key, such as "whsec_[redacted]".
func (k Key) String() string {
	if k.IsZero() {
		return "[no key]"
	}
	return k.material().prefix + "[redacted]"
}

// GoString returns what String does.
func (k Key) GoString() string { return k.String() }

// Format writes what String returns, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// LogValue returns what String does.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText returns what String does, so that encoding a config or a log record does not
// reveal the key. To store a key, use [Key.Reveal].
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// version returns the version of the signatures that the key makes and accepts.
func (k Key) version() string {
	if k.material().mac != nil {
		return version1
	}
	return version1a
}

// canSign reports whether the key can sign, or only verify.
func (k Key) canSign() bool { return k.material().mac != nil || k.material().private != nil }

// decodeBase64 decodes strict base64 with padding. Unlike the decoder of encoding/base64, even
// the strict one, it does not skip line breaks.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(0)
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

// macPool computes HMAC-SHA256 with one secret. It reuses hashes that are keyed already, which
// saves half the cost of a small message.
type macPool struct{ pool sync.Pool }

// macState is a keyed hash and its buffers.
type macState struct {
	hash    hash.Hash
	prefix  []byte
	sum     []byte
	encoded []byte
}

func newMACPool(secret []byte) *macPool {
	p := new(macPool)
	p.pool.New = func() any { return &macState{hash: hmac.New(sha256.New, secret)} }
	return p
}

// with calls use with the signature in base64, which is valid only during the call.
func (p *macPool) with(id, timestamp string, body []byte, use func(encoded []byte)) {
	s := p.pool.Get().(*macState)
	s.hash.Reset()
	s.prefix = appendPrefix(s.prefix[:0], id, timestamp)
	s.hash.Write(s.prefix)
	s.hash.Write(body)
	s.sum = s.hash.Sum(s.sum[:0])
	s.encoded = base64.StdEncoding.AppendEncode(s.encoded[:0], s.sum)
	use(s.encoded)
	p.pool.Put(s)
}

// appendPrefix appends the signed bytes that precede the body.
func appendPrefix(dst []byte, id, timestamp string) []byte {
	dst = append(dst, id...)
	dst = append(dst, '.')
	dst = append(dst, timestamp...)
	return append(dst, '.')
}

// appendSignature appends an entry of the signature header.
func (k Key) appendSignature(dst []byte, id, timestamp string, body []byte) []byte {
	dst = append(dst, k.version()...)
	dst = append(dst, ',')
	if k.material().mac != nil {
		k.material().mac.with(id, timestamp, body, func(encoded []byte) { dst = append(dst, encoded...) })
		return dst
	}
	signature := ed25519.Sign(k.material().private, message(id, timestamp, body))
	return base64.StdEncoding.AppendEncode(dst, signature)
}

// message returns the bytes that a signature covers.
func message(id, timestamp string, body []byte) []byte {
	b := make([]byte, 0, len(id)+len(timestamp)+len(body)+2)
	return append(appendPrefix(b, id, timestamp), body...)
}

// matches reports whether the key made a signature of the request.
func (k Key) matches(p *Pending, body []byte) bool {
	if k.material().mac != nil {
		return k.matchesMAC(p, body)
	}
	return k.matchesEd25519(p, body)
}

func (k Key) matchesMAC(p *Pending, body []byte) (match bool) {
	k.material().mac.with(p.id, p.timestamp, body, func(want []byte) {
		for _, e := range p.entries.list[:p.entries.n] {
			// Compare the base64, so that only one encoding of a signature matches.
			if e.version == version1 && subtle.ConstantTimeCompare([]byte(e.signature), want) == 1 {
				match = true
			}
		}
	})
	return match
}

func (k Key) matchesEd25519(p *Pending, body []byte) bool {
	signed := message(p.id, p.timestamp, body)
	for _, e := range p.entries.list[:p.entries.n] {
		if e.version != version1a || len(e.signature) != ed25519Size {
			continue
		}
		signature, err := decodeBase64(e.signature)
		if err == nil && ed25519.Verify(k.material().public, signed, signature) {
			return true
		}
	}
	return false
}

// ed25519Size is the length of a v1a signature in base64 with padding.
const ed25519Size = (ed25519.SignatureSize + 2) / 3 * 4
