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
func (t *KeyedThrottle[K]) Allow(at time.Time, key K) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.minuteStart.IsZero() {
		t.minuteStart, t.keys = at, make(map[K]keyCount)
	}
	n, known := t.keys[key]
	switch {
	case !known && len(t.keys) >= t.MaxKeys:
		t.heldOthers++
		return false
	case n.passed == 0, n.passed < t.PerKey && t.passed < t.PerMinute:
		n.passed++
		t.passed++
		t.keys[key] = n
		return true
	}
	n.held++
	t.keys[key] = n
	return false
}

// EndMinute ends the minute if it is over, or early if that is true, and returns what was held back
// in it.
func (t *KeyedThrottle[K]) EndMinute(at time.Time, early bool) (held Held[K], some bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.minuteStart.IsZero() || !early && at.Sub(t.minuteStart) < time.Minute {
		return held, false
	}
	held.Messages = t.heldOthers
	for key, n := range t.keys {
		held.Messages += n.held
		if n.held > held.MostMessages {
			held.MostKey, held.MostMessages = key, n.held
		}
	}
	t.minuteStart, t.keys, t.passed, t.heldOthers = time.Time{}, nil, 0, 0
	return held, held.Messages > 0
}
