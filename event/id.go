package event

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

const (
	idPrefix = "evt_"
	// MaxIDLength is how many bytes an event id may have, prefix included:
	// short enough for an index and a header line.
	MaxIDLength = 128
)

// NewID returns a new event id: "evt_" and the 32 hex digits of a UUIDv7
// (RFC 9562). Ids of one process sort by the time they were made.
func NewID() string {
	// NewV7 fails only when the system has no randomness, and then
	// crypto/rand has already stopped the program.
	id := uuid.Must(uuid.NewV7())
	var buf [len(idPrefix) + 2*len(id)]byte
	copy(buf[:], idPrefix)
	hex.Encode(buf[len(idPrefix):], id[:])
	return string(buf[:])
}

// ValidID says whether s is an event id: "evt_" and an opaque token of letters,
// digits, '_' and '-', at most [MaxIDLength] bytes together. The token's form
// is its sender's business. It holds no dot, because a signature covers
// "id.timestamp.body".
//
// The error says which rule s breaks. It is phrased as the rule of a [Problem].
func ValidID(s string) error {
	token, ok := strings.CutPrefix(s, idPrefix)
	switch {
	case !ok || token == "":
		return fmt.Errorf("must be %q followed by a token", idPrefix)
	case len(s) > MaxIDLength:
		return fmt.Errorf("must be at most %d bytes", MaxIDLength)
	}
	for i := range len(token) {
		if c := token[i]; !isAlphanumeric(c) && c != '_' && c != '-' {
			return fmt.Errorf("must hold only letters, digits, '_' and '-' after %q", idPrefix)
		}
	}
	return nil
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
