package receiver

import (
	"context"
	"log/slog"
	"time"
)

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
