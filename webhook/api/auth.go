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

// An Authenticator says which organization a request comes from. Its errors
// become answers: [ErrUnauthenticated] 401, [ErrForbidden] 403, any other 500.
// It sees the whole request, so it can also decide by method and path, such as
// refusing writes, or "reveal" in the query, to a key that may only read.
//
// The empty organization is the one tenant of a service that has no tenants.
// [Keys] has a ready Authenticator.
type Authenticator func(r *http.Request) (organizationID string, err error)

// Errors of an [Authenticator]. They may be wrapped; what wraps them is logged
// nowhere and not shown.
var (
	// ErrUnauthenticated says that the request does not prove who it is from.
	ErrUnauthenticated = errors.New("api: not authenticated")
	// ErrForbidden says that it does, and that this is not allowed to them.
	ErrForbidden = errors.New("api: forbidden")
)

// BearerToken returns the token of a request's Authorization header, or
// [ErrUnauthenticated] if there is none or more than one. See RFC 6750,
// section 2.1. It is for authenticators that look keys up elsewhere than in
// [Keys], by [HashKey].
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

// NewKey makes an API key, "sk_" and 256 random bits, and its hash. The key is
// for the customer and shown once; keep the hash.
func NewKey() (key, hash string) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	key = keyPrefix + hex.EncodeToString(b[:])
	return key, HashKey(key)
}

// HashKey is the form in which API keys are kept: "sha256:" and 64 hexadecimal
// digits. A fast hash without a salt is enough for keys that are long and
// random, as [NewKey] makes them, and for nothing that a person has thought up.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hashPrefix + hex.EncodeToString(sum[:])
}

// Keys are the API keys of organizations, each of which can have any number of
// them: to rotate, add the new key, and remove the old one once it is no longer
// used. Keys holds hashes only. It is safe for concurrent use; make it with
// [NewKeys].
type Keys struct {
	// blind keys the digests that organizations are looked up by, so that how
	// long a lookup takes says nothing about the stored hashes.
	blind [32]byte

	mu            sync.RWMutex
	organizations map[[32]byte]string
}

// NewKeys returns Keys that hold no key yet.
func NewKeys() *Keys {
	k := &Keys{organizations: make(map[[32]byte]string)}
	_, _ = rand.Read(k.blind[:])
	return k
}

// Add lets the key of that hash, see [HashKey], speak for the organization.
// A hash that speaks for another one already is refused.
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

// Remove takes the key of that hash back. A hash that is not there is no error.
func (k *Keys) Remove(hash string) {
	digest, err := parseHash(hash)
	if err != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.organizations, k.blinded(digest))
}

// Authenticate is an [Authenticator]: the key is in the request's header
// "Authorization: Bearer".
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
