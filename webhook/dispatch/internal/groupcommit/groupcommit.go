// Package groupcommit lets concurrent callers share one commit, as databases do: the cost of making
// something durable is paid once for all that wait for it.
package groupcommit

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"
)

// A Group collects the items of type T that concurrent calls of [Group.Do] want to commit, and
// hands each call the results of type R of its own items. Calls that come while a commit is under
// way form the next one. A caller on its own does not wait for others to come. The fields are set
// before the first call, and not changed after it.
type Group[T, R any] struct {
	// Commit stores the items of some calls, all or nothing. It returns a result for each item, in
	// their order, unless it fails. Its context has the values of the first call's context.
	Commit func(context.Context, []T) ([]R, error)
	// Weight returns the weight of an item, and MaxWeight bounds the weight of all items of one
	// commit. A call that weighs more by itself has a commit of its own.
	Weight    func(T) int
	MaxWeight int
	// Timeout bounds one Commit. The end of a caller's context does not end it.
	Timeout time.Duration
	// Splits reports whether a Commit that failed with the error may succeed for some of its calls:
	// one of them has waited for something, and all others with it. They are committed again beside
	// the calls that follow: first those of each Class together, as far as MaxWeight allows, and then,
	// if all were of one Class or that fails so too, each on its own. Class is that of a call's first
	// item. Nil for Splits repeats nothing.
	Splits func(error) bool
	Class  func(T) string

	mu       sync.Mutex
	waiting  []*call[T, R]
	running  bool          // whether commitLoop runs
	apart    []*call[T, R] // calls to be committed again, apart from others
	parting  bool          // whether commitApart runs
	callPool sync.Pool     // of *call[T, R] that are over
}

type call[T, R any] struct {
	ctx   context.Context
	items []T
	done  chan answer[R]
}

// answer is what a call of Do returns.
type answer[R any] struct {
	results []R
	err     error
}

// Do returns the results when the items are committed. If ctx ends first, they may or may not be
// committed in the end.
func (g *Group[T, R]) Do(ctx context.Context, items []T) ([]R, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, _ := g.callPool.Get().(*call[T, R])
	if c == nil {
		c = &call[T, R]{done: make(chan answer[R], 1)}
	}
	c.ctx, c.items = ctx, items
	g.mu.Lock()
	g.waiting = append(g.waiting, c)
	startLoop := !g.running
	g.running = true
	g.mu.Unlock()
	if startLoop {
		// In its own goroutine, because the caller may leave before its commit ends, and must not wait
		// for the commits of other callers.
		go g.commitLoop()
	}
	select {
	case a := <-c.done:
		c.ctx, c.items = nil, nil
		g.callPool.Put(c)
		return a.results, a.err
	case <-ctx.Done(): // commitLoop may still use c
		return nil, ctx.Err()
	}
}

// commitLoop commits until no call waits.
func (g *Group[T, R]) commitLoop() {
	for {
		runtime.Gosched() // callers that are about to call join this commit
		batch := g.takeBatch()
		if batch == nil {
			return
		}
		if !g.commit(batch) {
			g.part(batch)
		}
	}
}

// part has calls committed again, beside those that follow, by one goroutine.
func (g *Group[T, R]) part(batch []*call[T, R]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.apart = append(g.apart, batch...)
	if !g.parting {
		g.parting = true
		go g.commitApart()
	}
}

// takeApart returns the calls to be committed again, without those whose caller has left. It returns
// nil, which ends commitApart, when there are none.
func (g *Group[T, R]) takeApart() []*call[T, R] {
	g.mu.Lock()
	defer g.mu.Unlock()
	batch := present(g.apart)
	g.apart, g.parting = nil, len(batch) > 0
	if !g.parting {
		return nil
	}
	return batch
}

// present leaves out calls whose caller has left.
func present[T, R any](calls []*call[T, R]) []*call[T, R] {
	return slices.DeleteFunc(calls, func(c *call[T, R]) bool { return c.ctx.Err() != nil })
}

// commit commits the items of some calls and answers these, unless the error is one that may be due
// to some of them. Then it returns false.
func (g *Group[T, R]) commit(batch []*call[T, R]) (answered bool) {
	itemsOfCalls := make([][]T, len(batch))
	for i, c := range batch {
		itemsOfCalls[i] = c.items
	}
	items := slices.Concat(itemsOfCalls...)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(batch[0].ctx), g.Timeout)
	results, err := g.Commit(ctx, items)
	cancel()
	if err != nil && len(batch) > 1 && g.Splits != nil && g.Splits(err) {
		return false
	}
	for _, c := range batch {
		if err != nil {
			c.done <- answer[R]{err: err}
			continue
		}
		n := len(c.items) // before the caller has its answer, and may use c for another call
		c.done <- answer[R]{results: results[:n:n]}
		results = results[n:]
	}
	return true
}

// commitApart commits calls class by class, and those of a class that cannot be committed together
// one by one, after all others.
func (g *Group[T, R]) commitApart() {
	for batch := g.takeApart(); batch != nil; batch = g.takeApart() {
		var classes []string
		calls := make(map[string][]*call[T, R])
		for _, c := range batch {
			class := ""
			if len(c.items) > 0 {
				class = g.Class(c.items[0])
			}
			if calls[class] == nil {
				classes = append(classes, class)
			}
			calls[class] = append(calls[class], c)
		}
		var single []*call[T, R]
		for _, class := range classes {
			if len(classes) == 1 {
				single = calls[class]
				break
			}
			// Calls of many commits may have come together here.
			for rest := calls[class]; len(rest) > 0; {
				part, taken := g.cut(rest)
				if rest = rest[taken:]; len(part) > 0 && !g.commit(part) {
					single = append(single, part...)
				}
			}
		}
		for i := range single {
			if alone := present(single[i : i+1]); len(alone) > 0 {
				g.commit(alone)
			}
		}
	}
}

// takeBatch returns the calls of the next commit, without those whose caller has left. It returns
// nil, which ends commitLoop, when no call waits.
func (g *Group[T, R]) takeBatch() []*call[T, R] {
	g.mu.Lock()
	defer g.mu.Unlock()
	batch, taken := g.cut(g.waiting)
	clear(g.waiting[:taken])
	g.waiting = g.waiting[taken:]
	if len(batch) == 0 {
		g.waiting = nil
		g.running = false
	}
	return batch
}

// cut returns the first calls that one commit can have, without those whose caller has left. taken
// counts both.
func (g *Group[T, R]) cut(calls []*call[T, R]) (batch []*call[T, R], taken int) {
	batchWeight := 0
	for _, c := range calls {
		if c.ctx.Err() != nil {
			taken++
			continue
		}
		weight := 0
		for _, item := range c.items {
			weight += g.Weight(item)
		}
		if len(batch) > 0 && batchWeight+weight > g.MaxWeight {
			break
		}
		batch = append(batch, c)
		batchWeight += weight
		taken++
	}
	return batch, taken
}
