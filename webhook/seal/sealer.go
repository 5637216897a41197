package seal

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/mixpeek/webhooks-go/event"
)

// Errors of [Sealer.Open].
var (
	// ErrUnknownKey means that the Sealer does not have the key that the value
	// was sealed with.
	ErrUnknownKey = errors.New("seal: no such key")
	// ErrOpen means that the value is damaged, or was sealed with other additional data or with
	// another key of the same id. The Sealer cannot tell which.
	ErrOpen = errors.New("seal: the value is damaged, was sealed with other additional data, " +
		"or with another key of this id")
)

// format is the first byte of what Seal makes.
const format = 1

// Sealer seals with one key and opens with several. It is safe for concurrent
// use, and never changes.
type Sealer struct {
	first string
	keys  map[string]Key
}

// New returns a Sealer that seals with the first key and opens with every key. There must be at
// least one key; their ids and their secrets must differ. Otherwise the error is an
// [*event.ValidationError]. To change to a new key, put it first, and keep the old one after it
// until no value needs the old one.
func New(keys ...Key) (*Sealer, error) {
	var p event.Problems
	if len(keys) == 0 {
		p.Add("keys", "needs at least one key")
	}
	for i, k := range keys {
		field := fmt.Sprintf("keys[%d]", i)
		if k.IsZero() {
			p.Add(field, "must not be the zero Key")
			continue
		}
		for j, other := range keys[:i] {
			switch {
			case other.IsZero():
			case k.id == other.id:
				p.Add(field, "must not have the id of keys[%d], %q", j, k.id)
			case subtle.ConstantTimeCompare(k.secret(), other.secret()) == 1:
				p.Add(field, "must not have the secret of keys[%d] under another id", j)
			}
		}
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	s := &Sealer{first: keys[0].id, keys: make(map[string]Key, len(keys))}
	for _, k := range keys {
		s.keys[k.id] = k
	}
	return s, nil
}

// KeyID returns the id of the key that Seal uses. Open needs it.
func (s *Sealer) KeyID() string { return s.first }

// Seal encrypts the plaintext and binds it to the additional data. It keeps neither, and does not
// use the context. Two calls with the same plaintext return different values.
func (s *Sealer) Seal(_ context.Context, plaintext, additionalData []byte) ([]byte, error) {
	derivation := make([]byte, derivationSize)
	_, _ = rand.Read(derivation) // never fails, see crypto/rand
	aead, err := derive(s.keys[s.first].secret(), derivation)
	if err != nil {
		return nil, err
	}
	sealed := make([]byte, 0, 1+derivationSize+aead.Overhead()+len(plaintext))
	sealed = append(append(sealed, format), derivation...)
	return aead.Seal(sealed, nil, plaintext, additionalData), nil
}

// Open returns the plaintext of a value that was sealed with the key of this id and the same
// additional data. The error matches ErrUnknownKey or ErrOpen, and contains nothing of the value.
func (s *Sealer) Open(
	_ context.Context, keyID string, sealed, additionalData []byte,
) ([]byte, error) {
	key, ok := s.keys[keyID]
	switch {
	case !ok:
		return nil, ErrUnknownKey
	case len(sealed) < 1+derivationSize:
		return nil, ErrOpen
	case sealed[0] != format:
		return nil, fmt.Errorf("%w: format %d is not known", ErrOpen, sealed[0])
	}
	aead, err := derive(key.secret(), sealed[1:1+derivationSize])
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(nil, nil, sealed[1+derivationSize:], additionalData)
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}
