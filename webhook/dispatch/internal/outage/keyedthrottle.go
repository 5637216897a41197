package outage

import (
	"sync"
	"time"
)

// A KeyedThrottle lets messages of a kind pass each minute, so that those about one key, such as an
// endpoint, do not keep those about others from passing. The first message about each of up to
// MaxKeys keys always passes, and further ones do as long as fewer than PerKey about that key, and
// fewer than PerMinute about all of them, have passed. It is safe for concurrent use.
type KeyedThrottle[K comparable] struct {
	PerKey, PerMinute, MaxKeys int

	mu          sync.Mutex
	minuteStart time.Time // when the minute began
	passed      int
	keys        map[K]keyCount
	heldOthers  int // messages held back about keys that are not among the MaxKeys
}

type keyCount struct{ passed, held int }

// Held says which messages were held back in a minute.
type Held[K comparable] struct {
	// Messages is how many they were.
	Messages int
	// MostKey is the key that most of them were about, and MostMessages how many. Zero if the keys are
	// not known.
	MostKey      K
	MostMessages int
}

// Allow reports whether a message about the key may pass.
func (b *KeyedThrottle[K]) Allow(at time.Time, key K) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.minuteStart.IsZero() {
		b.minuteStart, b.keys = at, make(map[K]keyCount)
	}
	n, known := b.keys[key]
	switch {
	case !known && len(b.keys) >= b.MaxKeys:
		b.heldOthers++
		return false
	case n.passed == 0, n.passed < b.PerKey && b.passed < b.PerMinute:
		n.passed++
		b.passed++
		b.keys[key] = n
		return true
	}
	n.held++
	b.keys[key] = n
	return false
}

// EndMinute ends the minute if it is over, or early if that is true, and returns what was held back
// in it.
func (b *KeyedThrottle[K]) EndMinute(at time.Time, early bool) (held Held[K], some bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.minuteStart.IsZero() || !early && at.Sub(b.minuteStart) < time.Minute {
		return held, false
	}
	held.Messages = b.heldOthers
	for key, n := range b.keys {
		held.Messages += n.held
		if n.held > held.MostMessages {
			held.MostKey, held.MostMessages = key, n.held
		}
	}
	b.minuteStart, b.keys, b.passed, b.heldOthers = time.Time{}, nil, 0, 0
	return held, held.Messages > 0
}
