package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"

	"github.com/mixpeek/webhooks-go/webhook"
)

const (
	randomBytes = 32
	randomPart  = 2 * randomBytes
	sumPart     = 8
)

var prefixPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// newToken makes an API key.
func newToken(prefix string) string {
	var b [randomBytes]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	token := prefix + hex.EncodeToString(b[:])
	return token + checksum(token)
}

// newID makes the id of an API key.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return "key_" + hex.EncodeToString(b[:])
}

var idPattern = regexp.MustCompile(`^key_[0-9a-f]{16}$`)

// IsID reports whether a text has the form of the id of an API key. A text that does not may be the
// API key itself: keep it out of logs and paths.
func IsID(text string) bool { return idPattern.MatchString(text) }

func checksum(text string) string {
	return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text)))
}

// parse returns the hash of an API key, or an error that matches ErrMalformed and says what is wrong
// without a part of the key.
func parse(prefix, token string) (webhook.APIKeyHash, error) {
	rest, ok := strings.CutPrefix(token, prefix)
	switch {
	case !ok:
		return webhook.APIKeyHash{}, fmt.Errorf("%w: it does not begin with %q", ErrMalformed, prefix)
	case len(rest) != randomPart+sumPart:
		return webhook.APIKeyHash{}, fmt.Errorf("%w: it has %d characters, and not %d", ErrMalformed,
			len(token), len(prefix)+randomPart+sumPart)
	}
	random := len(prefix) + randomPart
	if token[random:] != checksum(token[:random]) {
		return webhook.APIKeyHash{}, fmt.Errorf("%w: a character is wrong", ErrMalformed)
	}
	return sha256.Sum256([]byte(token)), nil
}
