package event

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

const (
	idPrefix = "evt_"
	// MaxIDLength is the longest event id in bytes, including the prefix. It fits in a
	// database index and a header line.
	MaxIDLength = 128
)

// NewID returns a new event id: "evt_" and the 32 hex digits of a UUIDv7
// (RFC 9562). Ids made by one process sort by time.
func NewID() string {
	// NewV7 fails only if the system has no randomness, but then crypto/rand has already
	// stopped the program.
	id := uuid.Must(uuid.NewV7())
	var buf [len(idPrefix) + 2*len(id)]byte
	copy(buf[:], idPrefix)
	hex.Encode(buf[len(idPrefix):], id[:])
	return string(buf[:])
}

// ValidID returns an error if s is not an event id: "evt_" and an opaque token of letters,
// digits, '_' and '-', at most [MaxIDLength] bytes in total. Dots are not allowed because a
// signature covers "id.timestamp.body".
//
// The error's text is the rule that s breaks, worded as in a [Problem].
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
