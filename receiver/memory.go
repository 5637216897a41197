package receiver

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// DefaultMaxKeys is how many keys a [Memory] holds unless told otherwise:
// about 100 MB when it is full.
const DefaultMaxKeys = 1_000_000

// ErrFull is returned by [Memory.Claim] when every key that it holds is still
// to be remembered.
var ErrFull = errors.New("receiver: memory of handled events is full")

// Memory is a [Deduper] in the memory of one process. It forgets everything
// when the process ends, and other processes do not see it: it is for tests,
// for handlers that may be repeated, and for a single replica.
//
// It is bounded. When it is full, it refuses new events, to be sent again
// later, rather than forget one that may still come a second time.
type Memory struct {
	max int

	mu        sync.Mutex
	entries   map[memoryKey]memoryEntry
	nextSweep time.Time
}

// MemoryConfig bounds a Memory.
type MemoryConfig struct {
	// MaxKeys is how many keys are held at a time.
	// Defaults to [DefaultMaxKeys].
	MaxKeys int
}

// memoryKey is a hash of the key: entries without pointers cost the garbage
// collector nothing, however many they are.
type memoryKey [16]byte

type memoryEntry struct {
	token Token
	until int64 // Unix nanoseconds: the end of the lease, or of remembering
	state State // Claimed, Done or Dead
}

// sweepEvery bounds how often a full Memory looks through all its entries.
const sweepEvery = time.Second

// NewMemory returns an empty Memory.
func NewMemory(config MemoryConfig) *Memory {
	m := &Memory{max: config.MaxKeys, entries: make(map[memoryKey]memoryEntry)}
	if m.max <= 0 {
		m.max = DefaultMaxKeys
	}
	return m
}

func hashKey(key string) memoryKey {
	var buf [128]byte // room for nearly every key, on the stack
	sum := sha256.Sum256(append(buf[:0], key...))
	return memoryKey(sum[:16])
}

// Claim implements [Deduper]. The error is [ErrFull] when there is no room.
func (m *Memory) Claim(_ context.Context, c Claim, lease time.Duration) (Standing, error) {
	key, now := hashKey(c.Key), time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	entry, found := m.entries[key]
	if found && entry.until > now.UnixNano() {
		if entry.state == Claimed {
			return Standing{State: InFlight, Remaining: time.Duration(entry.until - now.UnixNano())}, nil
		}
		return Standing{State: entry.state}, nil
	}
	if !found && len(m.entries) >= m.max {
		m.sweep(now)
		if len(m.entries) >= m.max {
			return Standing{}, ErrFull
		}
	}
	m.entries[key] = memoryEntry{token: c.Token, state: Claimed, until: now.Add(lease).UnixNano()}
	return Standing{State: Claimed}, nil
}

// Extend implements [Deduper].
func (m *Memory) Extend(_ context.Context, c Claim, lease time.Duration) error {
	key, until := hashKey(c.Key), time.Now().Add(lease).UnixNano()
	m.mu.Lock()
	defer m.mu.Unlock()
	entry, found := m.entries[key]
	if !found || entry.token != c.Token {
		return ErrStaleToken
	}
	if entry.state == Claimed {
		entry.until = until
		m.entries[key] = entry
	}
	return nil
}

// Done implements [Deduper].
func (m *Memory) Done(_ context.Context, c Claim, keep time.Duration) error {
	return m.settle(c, Done, keep)
}

// Dead implements [Deduper]. The reason is not kept.
func (m *Memory) Dead(_ context.Context, c Claim, _ string, keep time.Duration) error {
	return m.settle(c, Dead, keep)
}

// settle moves a claimed key to the state, or repeats the move.
func (m *Memory) settle(c Claim, to State, d time.Duration) error {
	key, until := hashKey(c.Key), time.Now().Add(d).UnixNano()
	m.mu.Lock()
	defer m.mu.Unlock()
	entry, found := m.entries[key]
	if !found || entry.token != c.Token || entry.state != Claimed && entry.state != to {
		return ErrStaleToken
	}
	entry.state, entry.until = to, until
	m.entries[key] = entry
	return nil
}

// Release implements [Deduper].
func (m *Memory) Release(_ context.Context, c Claim) error {
	key := hashKey(c.Key)
	m.mu.Lock()
	defer m.mu.Unlock()
	if entry, found := m.entries[key]; !found || entry.token != c.Token || entry.state != Claimed {
		return ErrStaleToken
	}
	delete(m.entries, key)
	return nil
}

// Len returns how many keys are held, those included whose time has passed and
// that were not removed yet.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries)
}

// sweep removes what need not be remembered. It looks at every entry, which is
// why it is only done when there is no room, and not at every claim even then.
func (m *Memory) sweep(now time.Time) {
	if now.Before(m.nextSweep) {
		return
	}
	m.nextSweep = now.Add(sweepEvery)
	for key, entry := range m.entries {
		until := entry.until
		if entry.state == Claimed {
			until += int64(Grace)
		}
		if until <= now.UnixNano() {
			delete(m.entries, key)
		}
	}
}
