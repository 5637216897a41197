package sqlstore

import (
	"context"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"
)

// PostgreSQL keeps the index entries of what has left the queue, or has moved in it, for as long as
// any transaction is open that began before. A claim looks for the first deliveries of each endpoint,
// and the dead entries come before those, because what was due earlier was claimed earlier. So a
// process whose claims read many of them remembers for each endpoint where the first delivery in the
// queue was when it last looked, and its claims start there.
//
// What is due earlier than that, but was committed later, such claims do not see. So they start
// startsLookback before that place, what this process writes itself moves it back, and notifications
// of other processes do. What none of this covers is found when the process looks at all entries
// again, for which it takes a twentieth of its time at most.

type startStatements struct {
	look, dead string
}

func newStartStatements(x expander) startStatements {
	look, dead := x.dialect.deadEntriesSQL()
	return startStatements{look: x.sql(look), dead: x.sql(dead)}
}

const (
	// maxDead is how many dead entries a claim may read before this process remembers where to start.
	maxDead = 1000
	// maxStarts bounds of how many endpoints the process remembers it. All others are read as if
	// nothing was remembered.
	maxStarts = 10_000
	// lookEvery is how often a process counts dead entries, and moves the starts, and startsLookback
	// how far before the first delivery claims start, in microseconds.
	lookEvery, startsLookback = int64(1_000_000), int64(2_000_000)
	// secondMicros is a second in microseconds.
	secondMicros = int64(1_000_000)
	// searchShare is which part of the time a process looks at all entries, at most.
	searchShare = 20
)

// starts is where claims start to read the queue of each endpoint: see the comment above. The zero
// value is ready to use, and remembers nothing.
type starts struct {
	looking sync.Mutex // held while the process looks
	// full is when it may look at all entries again, by the clock of this machine.
	full time.Time

	mu sync.Mutex
	places
	many bool // claims read many dead entries
	// at is when claims look again, by the store's clock.
	at int64
	// lowered has the earliest due times that were written since the last look began, and between that
	// and the one before. A transaction may commit a moment after it has written.
	lowered [2]int64
}

// places are endpoints, in order, and the due times from which their deliveries are read: those that
// were not attempted since they were queued, and those that were. The slices are never changed.
type places struct {
	ids, fresh, retried []int64
}

// between returns the places of the endpoints after from, up to to.
func (p places) between(from, to int64) places {
	first, _ := slices.BinarySearch(p.ids, from)
	if first < len(p.ids) && p.ids[first] == from {
		first++
	}
	last, found := slices.BinarySearch(p.ids, to)
	if found {
		last++
	}
	last = max(first, last)
	return places{p.ids[first:last], p.fresh[first:last], p.retried[first:last]}
}

// of returns from when the deliveries of an endpoint are read.
func (p places) of(id int64) [2]int64 {
	if i, found := slices.BinarySearch(p.ids, id); found {
		return [2]int64{p.fresh[i], p.retried[i]}
	}
	return [2]int64{math.MinInt64, math.MinInt64}
}

// lower returns the places with none that is after a due time.
func (p places) lower(at int64) places {
	lowered := places{p.ids, slices.Clone(p.fresh), slices.Clone(p.retried)}
	for i := range lowered.ids {
		lowered.fresh[i] = min(lowered.fresh[i], at)
		lowered.retried[i] = min(lowered.retried[i], at)
	}
	return lowered
}

// args are the parameters of statements that read the queue.
func (p places) args(d Dialect) []any {
	return []any{d.ints(p.ids), d.ints(p.fresh), d.ints(p.retried)}
}

// begin returns where a claim starts, and whether it has to count dead entries.
func (s *starts) begin(now int64) (from places, count bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now < s.at-2*lookEvery { // the clock was set back, and what comes may be due before the starts
		s.places, s.at = places{}, now
	}
	return s.places, !s.many && now >= s.at
}

// current returns where claims start.
func (s *starts) current() places {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.places
}

// skips reports whether claims start somewhere, because there are many dead entries.
func (s *starts) skips() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.many
}

// written notes that deliveries which are due from a time on enter the queue, now or in a moment.
func (s *starts) written(at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.many || at >= s.at-lookEvery-startsLookback {
		return
	}
	s.lowered[0] = min(s.lowered[0], at)
	s.places = s.lower(at)
}

// toLook reports whether the process is to look after a claim that has read so many dead entries,
// and where.
func (s *starts) toLook(now, dead int64) (from places, full, look bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now < s.at {
		return places{}, false, false
	}
	s.at = now + lookEvery
	if !s.many {
		if dead <= maxDead {
			return places{}, false, false
		}
		s.many, s.lowered[0] = true, math.MaxInt64
	}
	s.lowered = [2]int64{math.MaxInt64, s.lowered[0]}
	from = s.places
	if full = !time.Now().Before(s.full); full {
		from = from.lower(math.MinInt64)
	}
	return from, full, true
}

// looked notes what a look has found.
func (s *starts) looked(found places, many bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.many = many; !many {
		s.places = places{}
		return
	}
	s.places = found
	if at := min(s.lowered[0], s.lowered[1]); at < math.MaxInt64 {
		s.places = found.lower(at)
	}
}

// Notified takes the payload of a notification on the channel that [NotifyChannelSQL] names. It
// says from when the deliveries that were committed are due. A program that listens calls it with
// the payload, and with "" when it begins to listen, because it may have missed some. Otherwise
// claims may find deliveries late whose transaction was open for long, while dead entries of the
// queue cannot be removed.
func (s *Store) Notified(payload string) {
	seconds, err := strconv.ParseInt(payload, 10, 64)
	at := int64(math.MinInt64)
	if err == nil && seconds > 0 && seconds < math.MaxInt64/secondMicros {
		at = seconds * secondMicros
	}
	s.starts.written(at)
}

// notification is the payload that says from when deliveries are due. A transaction that stores many
// sends few different ones, of which the database keeps one each.
func notification(at int64) string { return strconv.FormatInt(at/secondMicros, 10) }

// deadEntries returns how many dead entries the transaction has read.
func (s *Store) deadEntries(ctx context.Context, q Querier) (n int64, err error) {
	_, err = one(ctx, q, s.starting.dead, nil, []any{&n})
	return n, err
}

// look finds out where claims are to start from now on, if one has read so many dead entries, or
// others have before.
func (s *Store) look(ctx context.Context, now, dead int64) error {
	if s.starting.look == "" || !s.starts.looking.TryLock() {
		return nil
	}
	defer s.starts.looking.Unlock()
	from, full, look := s.starts.toLook(now, dead)
	if !look {
		return nil
	}
	began := time.Now()
	var found places
	err := s.write(ctx, func(ctx context.Context, q Querier) error {
		found, dead = places{}, math.MaxInt64
		before, err := s.deadEntries(ctx, q)
		if err != nil {
			return err
		}
		latest := now - startsLookback
		start := func(first *int64) int64 {
			if first == nil {
				return latest
			}
			return min(*first, latest)
		}
		err = collect(ctx, q, func(row scanner) error {
			var id int64
			var fresh, retried *int64
			err := row.Scan(&id, &fresh, &retried)
			found.ids = append(found.ids, id)
			found.fresh = append(found.fresh, start(fresh))
			found.retried = append(found.retried, start(retried))
			return err
		}, s.starting.look, append(from.args(s.x.dialect), int64(0), int64(math.MaxInt64), maxStarts)...)
		if err != nil || !full {
			return err
		}
		dead, err = s.deadEntries(ctx, q)
		dead -= before
		return err
	})
	if full {
		took := time.Since(began)
		s.starts.full = time.Now().Add(searchShare * took)
	}
	if err != nil {
		return err
	}
	s.starts.looked(found, dead > maxDead)
	return nil
}
