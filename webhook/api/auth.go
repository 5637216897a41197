package api

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"sync"
)

// An Authenticator returns the organization that a request comes from. An error that matches
// [ErrUnauthenticated] is answered with 401, [ErrForbidden] with 403, and any other error with
// 500. It gets the whole request, so it can also decide by method and path: it can refuse writes,
// or "reveal" in the query, to a key that may only read. It must be safe for concurrent use.
//
// A service without tenants returns the empty organization. [Keys.Authenticate] is an
// Authenticator.
type Authenticator func(r *http.Request) (organizationID string, err error)

// Errors of an [Authenticator]. They may be wrapped; the text of what wraps them is neither
// logged nor shown.
var (
	// ErrUnauthenticated means that the request has no valid credentials.
	ErrUnauthenticated = errors.New("api: not authenticated")
	// ErrForbidden means that the credentials are valid, but do not allow the request.
	ErrForbidden = errors.New("api: forbidden")
)

// BearerToken returns the token of a request's Authorization header (RFC 6750, section 2.1). It
// returns [ErrUnauthenticated] unless the request has exactly one Authorization header, with the
// scheme Bearer and a token of 1 to 4096 bytes. It is for an [Authenticator] that looks keys up by
// their [HashKey] in a store of its own.
func BearerToken(r *http.Request) (string, error) {
	lines := r.Header.Values("Authorization")
	if len(lines) != 1 {
		return "", ErrUnauthenticated
	}
	scheme, token, _ := strings.Cut(lines[0], " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxKeyLength {
		return "", ErrUnauthenticated
	}
	return token, nil
}

const (
	keyPrefix    = "sk_"
	hashPrefix   = "sha256:"
	maxKeyLength = 4096
)

// NewKey makes an API key, "sk_" and 256 random bits, and its hash. Show the key to the customer
// once, and store the hash.
func NewKey() (key, hash string) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	key = keyPrefix + hex.EncodeToString(b[:])
	return key, HashKey(key)
}

// HashKey returns the form in which an API key is stored: "sha256:" and 64 hexadecimal digits. A
// fast hash without a salt is enough for keys that are long and random, such as those of
// [NewKey]. It is not enough for passwords that people choose.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hashPrefix + hex.EncodeToString(sum[:])
}

// Keys holds the hashes of API keys, and the organization of each, in the memory of one process. It is
// for keys that come with the process, such as one from its environment that opens an empty store, and
// for tests: package apikey has keys that all processes share, and that customers manage. An
// organization can have any number of keys: to replace one, add the new key, and remove the old one
// when it is no longer used. Keys is safe for concurrent use. Make it with [NewKeys].
type Keys struct {
	// blind is the secret of the digests by which organizations are looked up, so that the time
	// of a lookup says nothing about the stored hashes.
	blind [32]byte

	mu            sync.RWMutex
	organizations map[[32]byte]string
}

// NewKeys returns Keys without a key.
func NewKeys() *Keys {
	k := &Keys{organizations: make(map[[32]byte]string)}
	_, _ = rand.Read(k.blind[:])
	return k
}

// Add lets the key with this hash (see [HashKey]) act for the organization. It returns an error if
// hash does not have the form of HashKey, or if the key acts for another organization.
func (k *Keys) Add(organizationID, hash string) error {
	digest, err := parseHash(hash)
	if err != nil {
		return err
	}
	blinded := k.blinded(digest)
	k.mu.Lock()
	defer k.mu.Unlock()
	if owner, taken := k.organizations[blinded]; taken && owner != organizationID {
		return errors.New("api: Add: the key belongs to another organization")
	}
	k.organizations[blinded] = organizationID
	return nil
}

// Remove removes the key with the hash. It does nothing if there is no such key.
func (k *Keys) Remove(hash string) {
	digest, err := parseHash(hash)
	if err != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.organizations, k.blinded(digest))
}

// Authenticate is an [Authenticator] that reads the key from the header "Authorization: Bearer".
func (k *Keys) Authenticate(r *http.Request) (string, error) {
	token, err := BearerToken(r)
	if err != nil {
		return "", err
	}
	blinded := k.blinded(sha256.Sum256([]byte(token)))
	k.mu.RLock()
	defer k.mu.RUnlock()
	organizationID, ok := k.organizations[blinded]
	if !ok {
		return "", ErrUnauthenticated
	}
	return organizationID, nil
}

func (k *Keys) blinded(digest [32]byte) (blinded [32]byte) {
	mac := hmac.New(sha256.New, k.blind[:])
	mac.Write(digest[:])
	mac.Sum(blinded[:0])
	return blinded
}

func parseHash(hash string) (digest [32]byte, err error) {
	digits, ok := strings.CutPrefix(hash, hashPrefix)
	b, err := hex.DecodeString(digits)
	if !ok || err != nil || len(b) != len(digest) {
		return digest, errors.New(`api: a key's hash is "sha256:" and 64 hexadecimal digits, see HashKey`)
	}
	return [32]byte(b), nil
}
