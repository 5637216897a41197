package receiver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// The defaults of MemoryConfig.
const (
	// DefaultMaxKeys is the default of [MemoryConfig.MaxKeys].
	DefaultMaxKeys = 1_000_000
	// DefaultHorizon is the default of [MemoryConfig.Horizon]: the dispatcher of this
	// module retries for 72 hours.
	DefaultHorizon = 72 * time.Hour
)

// ErrFull is returned by [Memory.Claim] if there is no room for the sender, and all keys
// that could make room are of events that may still be sent again.
var ErrFull = errors.New("receiver: memory of handled events is full")

// Memory is a [Deduper] in the memory of one process. Other processes do not see it, and it is
// empty after a restart. It is for a single process whose handlers may run twice for an event after
// a restart, and for tests. Make one with [NewMemory]; the zero Memory must not be used. It is safe
// for concurrent use.
//
// Its size is bounded, and no sender ([Claim.Sender]) can take all of it: a sender may hold eight
// times as many keys as are free, so that one sender alone gets 8/9 of the room, two get 8/17 each,
// and some room is always left for another (Choudhury and Hahne, Dynamic queue length thresholds
// for shared-memory packet switches, 1998). If there is no room for a sender, Memory forgets keys
// that were settled longer ago than senders retry, the oldest first. If there are none, Claim
// returns [ErrFull], and the sender has to send the event again later. Keys of events that may
// still be sent again, and claims that may still be settled, are not forgotten.
//
// A key takes 100 to 150 bytes, whatever its length, so that the default of a million keys takes
// 100 MB. With that default, one sender can send up to 1.4 events a second if each is remembered
// for [DefaultKeep], and up to 3.4 a second if keys are forgotten after [DefaultHorizon]. Memory
// logs a warning when 70 % of the room is taken, and when it forgets keys early.
type Memory struct {
	max     int
	horizon time.Duration
	log     *slog.Logger

	mu        sync.Mutex
	entries   map[memoryKey]memoryEntry
	shares    []*share // indexed by memoryEntry.share
	bySender  map[Sender]uint16
	nextSweep time.Time
	warned    [2]time.Time // when each warning may be logged again
}

// MemoryConfig configures a Memory. Zero means the default, and a negative number is an
// error.
type MemoryConfig struct {
	// MaxKeys bounds the keys of all senders together.
	// Defaults to [DefaultMaxKeys].
	MaxKeys int
	// Horizon is how long senders retry. A key that was settled longer ago is forgotten
	// if there is no room otherwise.
	// Defaults to [DefaultHorizon].
	Horizon time.Duration
	// Logger gets the warnings, each at most once a day.
	// Defaults to [slog.Default].
	Logger *slog.Logger
}

// memoryKey is a hash of the key. It has no pointers, so that the garbage collector does
// not scan the entries.
type memoryKey [16]byte

type memoryEntry struct {
	token   Token
	until   int64  // Unix nanoseconds: the end of the lease, or of keep
	settled uint32 // Unix seconds, 0 for a claim
	share   uint16
	state   uint8 // Claimed, Done or Dead
}

// forgotten reports whether the keep of a settled key has passed, so that the key is absent
// although it was not removed yet.
func (e memoryEntry) forgotten(now time.Time) bool {
	return State(e.state) != Claimed && e.until <= now.UnixNano()
}

// sweepEvery bounds how often a full Memory scans all its entries.
const sweepEvery = time.Second

// NewMemory returns an empty Memory. It returns an error for a negative bound, which wraps an
// [*event.ValidationError].
func NewMemory(config MemoryConfig) (*Memory, error) {
	var problems event.Problems
	if config.MaxKeys < 0 {
		problems.Add("MaxKeys", "must not be negative")
	}
	if config.Horizon < 0 {
		problems.Add("Horizon", "must not be negative")
	}
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("receiver: NewMemory: %w", err)
	}
	return newMemory(config), nil
}

// newMemory is NewMemory for a valid configuration.
func newMemory(config MemoryConfig) *Memory {
	m := &Memory{
		max: config.MaxKeys, horizon: config.Horizon, log: config.Logger,
		entries: make(map[memoryKey]memoryEntry), bySender: make(map[Sender]uint16),
	}
	if m.max == 0 {
		m.max = DefaultMaxKeys
	}
	if m.horizon == 0 {
		m.horizon = DefaultHorizon
	}
	if m.log == nil {
		m.log = slog.Default()
	}
	return m
}

func hashKey(key string) memoryKey {
	var buf [128]byte // on the stack, and long enough for nearly every key
	sum := sha256.Sum256(append(buf[:0], key...))
	return memoryKey(sum[:16])
}

// Claim implements [Deduper]. It returns [ErrFull] if there is no room.
func (m *Memory) Claim(ctx context.Context, c Claim, lease time.Duration) (Standing, error) {
	standing, about, err := m.claim(c, lease)
	about.log(ctx, m.log)
	return standing, err
}

func (m *Memory) claim(c Claim, lease time.Duration) (Standing, notice, error) {
	key, now := hashKey(c.Key), time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	entry, found := m.entries[key]
	if found && entry.until > now.UnixNano() {
		if State(entry.state) == Claimed {
			return Standing{State: InFlight,
				Remaining: time.Duration(entry.until - now.UnixNano())}, notice{}, nil
		}
		return Standing{State: State(entry.state)}, notice{}, nil
	}
	id, early := m.shareOf(c.Sender), false
	if found { // it takes no further room
		m.shares[entry.share].held--
	} else {
		var ok bool
		if early, ok = m.makeRoom(id, now); !ok {
			return Standing{}, notice{}, ErrFull
		}
	}
	m.entries[key] = memoryEntry{
		token: c.Token, share: id, state: uint8(Claimed), until: now.Add(lease).UnixNano(),
	}
	m.shares[id].held++
	return Standing{State: Claimed}, m.notice(c.Sender, id, early, now), nil
}

// Extend implements [Deduper].
func (m *Memory) Extend(_ context.Context, c Claim, lease time.Duration) error {
	key, now := hashKey(c.Key), time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	entry, found := m.entries[key]
	if !found || entry.token != c.Token || entry.forgotten(now) {
		return ErrStaleToken
	}
	if State(entry.state) == Claimed {
		entry.until = now.Add(lease).UnixNano()
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

// settle changes the state of a claimed key, or repeats the change.
func (m *Memory) settle(c Claim, to State, keep time.Duration) error {
	key, now := hashKey(c.Key), time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	entry, found := m.entries[key]
	if !found || entry.token != c.Token || entry.forgotten(now) ||
		State(entry.state) != Claimed && State(entry.state) != to {
		return ErrStaleToken
	}
	entry.state, entry.until = uint8(to), now.Add(keep).UnixNano()
	entry.settled = uint32(now.Unix()) //nolint:gosec // until 2106
	m.entries[key] = entry
	m.queue(key, entry, now)
	return nil
}

// Release implements [Deduper].
func (m *Memory) Release(_ context.Context, c Claim) error {
	key := hashKey(c.Key)
	m.mu.Lock()
	defer m.mu.Unlock()
	entry, found := m.entries[key]
	if !found || entry.token != c.Token || State(entry.state) != Claimed {
		return ErrStaleToken
	}
	m.remove(key, entry)
	return nil
}

// Len returns the number of keys, including those whose time has passed and that were not
// removed yet.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries)
}

func (m *Memory) remove(key memoryKey, entry memoryEntry) {
	delete(m.entries, key)
	m.shares[entry.share].held--
}

// share is what a [Memory] holds for one sender.
type share struct {
	held int
	// settled lists the keys that were settled, the oldest first. An element whose key was
	// claimed or settled again since is ignored, see stillSettled.
	settled []settledKey
}

// settledKey is a key with the end of its keep, by which it is seen whether the key was
// settled again.
type settledKey struct {
	key   memoryKey
	until int64
}

// thresholdFactor is how many times as many keys as are free a sender may hold: the
// constant alpha of the dynamic threshold of Choudhury and Hahne.
const thresholdFactor = 8

// maxShares bounds the number of shares. The last one is for all further senders.
const maxShares = 1024

// shareOf returns the index of a sender's share.
func (m *Memory) shareOf(s Sender) uint16 {
	if id, found := m.bySender[s]; found {
		return id
	}
	if len(m.shares) == maxShares {
		return maxShares - 1
	}
	id := uint16(len(m.shares)) //nolint:gosec // below maxShares
	m.shares, m.bySender[s] = append(m.shares, new(share)), id
	return id
}

func (m *Memory) hasRoom(id uint16) bool {
	return m.shares[id].held < thresholdFactor*(m.max-len(m.entries))
}

// makeRoom forgets as many keys as necessary for one more key of a share, its own keys
// first. early reports whether any was forgotten before its time. ok is false if there is
// no room and no key may be forgotten.
func (m *Memory) makeRoom(id uint16, now time.Time) (early, ok bool) {
	if m.hasRoom(id) {
		return false, true
	}
	early = m.forget(id, id, now)
	for other := range m.shares {
		if m.hasRoom(id) {
			return early, true
		}
		early = m.forget(uint16(other), id, now) || early //nolint:gosec // below maxShares
	}
	if !m.hasRoom(id) {
		m.sweep(now)
	}
	return early, m.hasRoom(id)
}

// forget forgets the oldest settled keys of the share of, until the share needs has room or
// no further key may be forgotten.
func (m *Memory) forget(of, needs uint16, now time.Time) (early bool) {
	s := m.shares[of]
	horizon := now.Add(-m.horizon).Unix()
	for len(s.settled) > 0 && !m.hasRoom(needs) {
		first := s.settled[0]
		if entry, counts := m.stillSettled(first); counts {
			expired := entry.until <= now.UnixNano()
			if !expired && int64(entry.settled) > horizon {
				break
			}
			early = early || !expired
			m.remove(first.key, entry)
		}
		s.settled = s.settled[1:]
	}
	return early
}

func (m *Memory) stillSettled(k settledKey) (memoryEntry, bool) {
	entry, found := m.entries[k.key]
	return entry, found && State(entry.state) != Claimed && entry.until == k.until
}

// queue adds a settled key to the list of its share, and removes up to two keys whose time
// has passed, so that those do not fill a Memory that is not full.
func (m *Memory) queue(key memoryKey, entry memoryEntry, now time.Time) {
	s := m.shares[entry.share]
	s.settled = append(s.settled, settledKey{key, entry.until})
	for range 2 {
		first := s.settled[0]
		old, counts := m.stillSettled(first)
		if counts && old.until > now.UnixNano() {
			break
		}
		if counts {
			m.remove(first.key, old)
		}
		s.settled = s.settled[1:]
		if len(s.settled) == 0 {
			break
		}
	}
	if len(s.settled) > 2*s.held+16 { // many elements are of keys that were settled again
		kept := s.settled[:0]
		for _, k := range s.settled {
			if _, counts := m.stillSettled(k); counts {
				kept = append(kept, k)
			}
		}
		s.settled = kept
	}
}

// sweep removes all keys whose time has passed. It scans all entries, so it runs only when
// there is no room, and not at every claim.
func (m *Memory) sweep(now time.Time) {
	if now.Before(m.nextSweep) {
		return
	}
	m.nextSweep = now.Add(sweepEvery)
	for key, entry := range m.entries {
		until := entry.until
		if State(entry.state) == Claimed {
			until += int64(Grace)
		}
		if until <= now.UnixNano() {
			m.remove(key, entry)
		}
	}
}

// A notice is a warning that is due. It is logged when the lock is released.
type notice struct {
	message          string
	sender           Sender
	held, total, max int
}

const (
	nearlyFull = iota
	forgetsEarly
)

// warnEvery bounds how often the same warning is logged.
const warnEvery = 24 * time.Hour

// notice returns the warning that is due after a claim.
func (m *Memory) notice(s Sender, id uint16, early bool, now time.Time) notice {
	n := notice{sender: s, held: m.shares[id].held, total: len(m.entries), max: m.max}
	about := nearlyFull
	switch {
	case early:
		about = forgetsEarly
		n.message = "receiver: memory full, events forgotten before Keep"
	case 10*n.total >= 7*n.max && n.max >= 10: // in a smaller one, 70 % is no early warning
		n.message = "receiver: memory filling up, raise MaxKeys or share a store"
	default:
		return notice{}
	}
	if now.Before(m.warned[about]) {
		return notice{}
	}
	m.warned[about] = now.Add(warnEvery)
	return n
}

func (n notice) log(ctx context.Context, logger *slog.Logger) {
	if n.message == "" {
		return
	}
	logger.LogAttrs(ctx, slog.LevelWarn, n.message, slog.Int("keys", n.total),
		slog.Int("max_keys", n.max),
		slog.String("sender", n.sender.String()), slog.Int("sender_keys", n.held))
}
