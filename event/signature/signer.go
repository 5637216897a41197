package signature

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// Signer signs requests. It is safe for concurrent use.
type Signer struct {
	keys []Key
}

// NewSigner returns a Signer that signs with each of the keys, so that a receiver that has any of
// them can verify the request. List the newest key first.
//
// There must be 1 to 16 keys that can sign. The error is an [*event.ValidationError].
func NewSigner(keys ...Key) (*Signer, error) {
	var p event.Problems
	checkCount(&p, len(keys))
	for i, key := range keys {
		switch field := "keys[" + strconv.Itoa(i) + "]"; {
		case key.IsZero():
			p.Add(field, ruleNoKey)
		case !key.canSign():
			p.Add(field, "is a public key, which cannot sign")
		}
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	return &Signer{keys: slices.Clone(keys)}, nil
}

const ruleNoKey = "is the zero Key: make one with ParseKey"

func checkCount(p *event.Problems, n int) {
	if n < 1 || n > maxEntries {
		p.Add("keys", "must be 1 to %d keys", maxEntries)
	}
}

// Sign sets the three headers of a request in h. id is the event's id, the same on every retry; at
// is the time of this attempt; body is exactly what is sent.
//
// The error is an [*event.ValidationError], and h is unchanged then. The id must have 1 to 256
// visible ASCII characters without a dot. The time must be at or after 1970 and have at most 12
// digits as Unix seconds (the year 33658).
func (s *Signer) Sign(h http.Header, id string, at time.Time, body []byte) error {
	var p event.Problems
	if !validID(id) {
		p.Add(HeaderID, ruleID)
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	if _, ok := parseTimestamp(timestamp); !ok {
		p.Add(HeaderTimestamp, ruleTimestamp)
	}
	if err := p.Err(); err != nil {
		return err
	}
	var buf [256]byte
	value := buf[:0]
	for i, key := range s.keys {
		if i > 0 {
			value = append(value, ' ')
		}
		value = key.appendSignature(value, id, timestamp, body)
	}
	values := []string{id, timestamp, string(value)} // one allocation for the three
	h[HeaderID], h[HeaderTimestamp], h[HeaderSignature] = values[0:1:1], values[1:2:2], values[2:3:3]
	return nil
}
