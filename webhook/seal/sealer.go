package seal

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/mixpeek/webhooks-go/event"
)

// Why a value was not opened.
var (
	// ErrUnknownKey says that the Sealer does not have the key that the value
	// was sealed with.
	ErrUnknownKey = errors.New("seal: no such key")
	// ErrOpen says that the value is damaged or was sealed with other additional
	// data, or that its key is not the one that had this id then. Which of these,
	// it cannot know.
	ErrOpen = errors.New("seal: damaged, sealed for something else, or the key under this id is " +
		"another one")
)

// format is the first byte of what Seal makes.
const format = 1

// Sealer seals with one key and opens with several. It is safe for concurrent
// use, and never changes.
type Sealer struct {
	first string
	keys  map[string]Key
}

// New returns a Sealer that seals with the first key and opens with each. To go
// over to a new key, put it first and keep the old one behind it until nothing
// is left that needs it. The error is an [event.ValidationError].
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

// KeyID names the key that Seal uses, and that Open has to be given again.
func (s *Sealer) KeyID() string { return s.first }

// Seal encrypts the plaintext, and binds it to the additional data, which says
// what it is for. It keeps nothing of what it is given, and waits for nothing.
// Sealing the same twice makes two values.
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

// Open returns what was sealed with the key of this id and with the same
// additional data. The error matches ErrUnknownKey or ErrOpen, and shows nothing
// of the value.
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
