package receiver

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

const (
	// DefaultMaxKeys is how many keys a [Memory] holds unless told otherwise.
	DefaultMaxKeys = 1_000_000
	// DefaultHorizon is how long senders go on trying: 72 hours, as the
	// dispatcher of this module does.
	DefaultHorizon = 72 * time.Hour
)

// ErrFull is returned by [Memory.Claim] when there is no room for the sender, and
// every key that could make room may still come a second time.
var ErrFull = errors.New("receiver: memory of handled events is full")

// Memory is a [Deduper] in the memory of one process. It forgets everything
// when the process ends, and other processes do not see it: it is for tests,
// for handlers that may be repeated, and for a single replica.
//
// It is bounded, and no sender ([Claim.Sender]) can fill it for the others: each
// may hold eight times as much as is free, so that one alone has 8/9 of the room,
// two that want everything 8/17 each, and there is always some left for another.
// Where a sender has no room, keys that were settled longer ago than senders try
// are forgotten before their time, the oldest first. If there are none, its events
// are refused, to be sent again later: an event that may still come a second time
// is remembered, and a claim that may still be settled is never forgotten.
//
// A key takes 100 to 150 bytes, whatever its length: 100 MB when the default of a
// million is full. That does for 1.4 events a second to be remembered for all of
// [DefaultKeep], and for 3.4 before any is refused. The log warns when 70 % are
// taken, and when keys are forgotten before their time.
type Memory struct {
	max     int
	horizon time.Duration
	log     *slog.Logger

	mu        sync.Mutex
	entries   map[memoryKey]memoryEntry
	shares    []*share // by memoryEntry.share
	bySender  map[Sender]uint16
	nextSweep time.Time
	warned    [2]time.Time // by warning
}

// MemoryConfig bounds a Memory.
type MemoryConfig struct {
	// MaxKeys is how many keys are held at a time, of all senders.
	// Defaults to [DefaultMaxKeys].
	MaxKeys int
	// Horizon is how long senders go on trying. A key that was settled longer
	// ago is forgotten where there is no room otherwise.
	// Defaults to [DefaultHorizon].
	Horizon time.Duration
	// Logger gets the warnings, each at most once a day.
	// Defaults to [slog.Default].
	Logger *slog.Logger
}

// memoryKey is a hash of the key: entries without pointers cost the garbage
// collector nothing, however many they are.
type memoryKey [16]byte

type memoryEntry struct {
	token   Token
	until   int64  // Unix nanoseconds: the end of the lease, or of remembering
	settled uint32 // Unix seconds, 0 for a claim
	share   uint16
	state   uint8 // Claimed, Done or Dead
}

// sweepEvery bounds how often a full Memory looks through all its entries.
const sweepEvery = time.Second

// NewMemory returns an empty Memory. A negative bound is refused with an
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
		return nil, err
	}
	return newMemory(config), nil
}

// newMemory is NewMemory for a configuration that is right.
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
	var buf [128]byte // room for nearly every key, on the stack
	sum := sha256.Sum256(append(buf[:0], key...))
	return memoryKey(sum[:16])
}

// Claim implements [Deduper]. The error is [ErrFull] when there is no room.
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
			return Standing{State: InFlight, Remaining: time.Duration(entry.until - now.UnixNano())}, notice{}, nil
		}
		return Standing{State: State(entry.state)}, notice{}, nil
	}
	id, early := m.shareOf(c.Sender), false
	if found { // it has a place already
		m.shares[entry.share].held--
	} else {
		var ok bool
		if early, ok = m.makeRoom(id, now); !ok {
			return Standing{}, notice{}, ErrFull
		}
	}
	m.entries[key] = memoryEntry{token: c.Token, share: id, state: uint8(Claimed), until: now.Add(lease).UnixNano()}
	m.shares[id].held++
	return Standing{State: Claimed}, m.notice(c.Sender, id, early, now), nil
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
	if State(entry.state) == Claimed {
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
	key, now := hashKey(c.Key), time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	entry, found := m.entries[key]
	if !found || entry.token != c.Token || State(entry.state) != Claimed && State(entry.state) != to {
		return ErrStaleToken
	}
	entry.state, entry.until, entry.settled = uint8(to), now.Add(d).UnixNano(), uint32(now.Unix()) //nolint:gosec // until 2106
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

// Len returns how many keys are held, those included whose time has passed and
// that were not removed yet.
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
	// settled are the keys that were settled, the oldest first. One that was
	// claimed or settled again since is still there, and counts no more.
	settled []settledKey
}

// settledKey is a key with the end of its time when it was settled, which tells
// whether it was settled again.
type settledKey struct {
	key   memoryKey
	until int64
}

// greed is how many times as much as is free a sender may hold: the dynamic
// threshold of Choudhury and Hahne.
const greed = 8

// maxShares bounds how many senders are told apart. More than that have one share
// together.
const maxShares = 1024

// shareOf returns the number of a sender's share.
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
	return m.shares[id].held < greed*(m.max-len(m.entries))
}

// makeRoom forgets what it takes for one more key of a share, of its own keys first,
// and says whether any of that was before its time. It is not ok if there is
// nothing that may be forgotten.
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

// forget forgets the oldest settled keys of a share until there is room in another,
// or no more may be forgotten.
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

// queue notes that a key was settled. It drops up to two that are over in exchange,
// so that a Memory which is not full does not fill with them.
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
	if len(s.settled) > 2*s.held+16 { // keys that are settled again and again
		kept := s.settled[:0]
		for _, k := range s.settled {
			if _, counts := m.stillSettled(k); counts {
				kept = append(kept, k)
			}
		}
		s.settled = kept
	}
}

// sweep removes all that need not be remembered. It looks at every entry, which is
// why it is only done when there is no room, and not at every claim even then.
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

// A notice is a warning that is due, logged when the lock is free.
type notice struct {
	message          string
	sender           Sender
	held, total, max int
}

const (
	nearlyFull = iota
	forgetsEarly
)

// warnEvery is how often the same warning is given.
const warnEvery = 24 * time.Hour

// notice returns the warning that is due after a claim.
func (m *Memory) notice(s Sender, id uint16, early bool, now time.Time) notice {
	n := notice{sender: s, held: m.shares[id].held, total: len(m.entries), max: m.max}
	about := nearlyFull
	switch {
	case early:
		about = forgetsEarly
		n.message = "receiver: memory of handled events is full, the oldest are forgotten before Keep"
	case 10*n.total >= 7*n.max && n.max >= 10: // a handful is not early
		n.message = "receiver: memory of handled events is filling up, raise MaxKeys or use a store that is shared"
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
	logger.LogAttrs(ctx, slog.LevelWarn, n.message, slog.Int("keys", n.total), slog.Int("max_keys", n.max),
		slog.String("sender", n.sender.String()), slog.Int("sender_keys", n.held))
}
