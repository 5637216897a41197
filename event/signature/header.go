package signature

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// The headers of a signed request. They are in Go's canonical form; names of HTTP headers are not
// case-sensitive.
const (
	// HeaderID carries the event's id, the same on every retry.
	HeaderID = "Webhook-Id"
	// HeaderTimestamp carries the time of the attempt in Unix seconds.
	HeaderTimestamp = "Webhook-Timestamp"
	// HeaderSignature carries the signatures.
	HeaderSignature = "Webhook-Signature"
)

// The versions of signature that this package makes and accepts.
const (
	version1  = "v1"  // HMAC-SHA256
	version1a = "v1a" // Ed25519
)

const (
	// maxEntries is how many entries of a signature header are read, and therefore how many
	// keys a signer and a verifier may have.
	maxEntries = 16
	// maxIDLength is the longest id in bytes.
	maxIDLength = 256
	// maxTimestampDigits is the longest timestamp, which is in the year 33658.
	maxTimestampDigits = 12
)

// entry is one signature of a signature header.
type entry struct {
	version   string
	signature string // base64
}

// entries are the signatures of a request.
type entries struct {
	list [maxEntries]entry
	n    int
}

// parse collects the entries of all lines of the signature header. An entry is a version and its
// signature in base64. Proxies fold lines, and join and split them at commas, so tokens may be
// separated by any white space, commas and ends of lines. Tokens that do not follow a version are
// skipped, and so are all entries after the first sixteen.
func (e *entries) parse(lines []string) {
	version := ""
	for _, line := range lines {
		for start := 0; start < len(line); {
			end := start
			for end < len(line) && !isSeparator(line[end]) {
				end++
			}
			switch token := line[start:end]; {
			case token == "":
			case isVersion(token):
				version = token
			case version != "":
				e.list[e.n] = entry{version, token}
				version = ""
				if e.n++; e.n == maxEntries {
					return
				}
			}
			start = end + 1
		}
	}
}

func isSeparator(c byte) bool { return c == ' ' || c == '\t' || c == ',' }

// isVersion reports whether the token is a version: v, digits, perhaps a letter.
func isVersion(token string) bool {
	if token[0] != 'v' {
		return false
	}
	i := 1
	for i < len(token) && isDigit(token[i]) {
		i++
	}
	if i > 1 && i < len(token) && 'a' <= token[i] && token[i] <= 'z' {
		i++
	}
	return i > 1 && i == len(token)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// single returns the value of a header that must occur exactly once. The name is in canonical
// form.
func single(h http.Header, name string) (string, error) {
	switch lines := h[name]; {
	case len(lines) == 0 || len(lines) == 1 && lines[0] == "":
		return "", fmt.Errorf("%w: %s", ErrMissingHeader, name)
	case len(lines) > 1:
		return "", fmt.Errorf("%w: %s occurs more than once", ErrMalformedHeader, name)
	default:
		return lines[0], nil
	}
}

const ruleID = "must be 1 to 256 visible ASCII characters without a dot"

// validID reports whether an id can be signed. The signed bytes are separated by dots: an id with
// a dot could be split in two ways.
func validID(id string) bool {
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c > '~' || c == '.' {
			return false
		}
	}
	return id != "" && len(id) <= maxIDLength
}

const ruleTimestamp = "must be Unix seconds, 1 to 12 digits without a leading zero"

// parseTimestamp reads a timestamp of the form ^[1-9]\d{0,11}$.
func parseTimestamp(s string) (time.Time, bool) {
	if s == "" || s[0] == '0' || len(s) > maxTimestampDigits {
		return time.Time{}, false
	}
	for i := range len(s) {
		if !isDigit(s[i]) {
			return time.Time{}, false
		}
	}
	seconds, err := strconv.ParseInt(s, 10, 64)
	return time.Unix(seconds, 0).UTC(), err == nil
}
