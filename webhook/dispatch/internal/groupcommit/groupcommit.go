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

// A Group collects the items of type T that concurrent calls of [Group.Do] want to commit, and hands
// each call the results of type R of its own items. What arrives while a commit is under way forms
// the next one. A caller on its own does not wait for others to come. The fields are set before the
// first call, and not changed after it.
type Group[T, R any] struct {
	// Commit stores the items of some calls, all or nothing. It returns a result for each item, in
	// their order, unless it fails. Its context has the values of the first call's.
	Commit func(context.Context, []T) ([]R, error)
	// Weight returns the weight of an item, and MaxWeight is the most that one commit takes on. A
	// commit takes at least one waiting call, whatever it weighs.
	Weight    func(T) int
	MaxWeight int
	// Timeout bounds one Commit, which goes on when the callers have left.
	Timeout time.Duration

	mu      sync.Mutex
	waiting []*call[T, R]
	running bool      // whether commitLoop runs
	calls   sync.Pool // of *call[T, R] that are over
}

type call[T, R any] struct {
	ctx   context.Context
	items []T
	done  chan committed[R]
}

type committed[R any] struct {
	results []R
	err     error
}

// Do returns the results when the items are committed. If ctx ends first, they may or may not be
// committed in the end.
func (g *Group[T, R]) Do(ctx context.Context, items []T) ([]R, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, _ := g.calls.Get().(*call[T, R])
	if c == nil {
		c = &call[T, R]{done: make(chan committed[R], 1)}
	}
	c.ctx, c.items = ctx, items
	g.mu.Lock()
	g.waiting = append(g.waiting, c)
	start := !g.running
	g.running = true
	g.mu.Unlock()
	if start {
		// A goroutine of its own, because the caller may leave before its commit ends, and must not be
		// kept by those of others.
		go g.commitLoop()
	}
	select {
	case done := <-c.done:
		c.ctx, c.items = nil, nil
		g.calls.Put(c)
		return done.results, done.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// commitLoop commits until no call waits.
func (g *Group[T, R]) commitLoop() {
	for {
		runtime.Gosched() // callers that are about to call join this commit
		calls := g.takeBatch()
		if calls == nil {
			return
		}
		lists := make([][]T, len(calls))
		for i, c := range calls {
			lists[i] = c.items
		}
		items := slices.Concat(lists...)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(calls[0].ctx), g.Timeout)
		results, err := g.Commit(ctx, items)
		cancel()
		for _, c := range calls {
			if err != nil {
				c.done <- committed[R]{err: err}
				continue
			}
			n := len(c.items) // before the caller, which has c then, is told
			c.done <- committed[R]{results: results[:n:n]}
			results = results[n:]
		}
	}
}

// takeBatch returns the calls of the next commit, without those whose caller has left. It returns
// nil, which ends commitLoop, when no call waits.
func (g *Group[T, R]) takeBatch() []*call[T, R] {
	g.mu.Lock()
	defer g.mu.Unlock()
	var calls []*call[T, R]
	taken, total := 0, 0
	for _, c := range g.waiting {
		if c.ctx.Err() != nil {
			taken++
			continue
		}
		weight := 0
		for _, item := range c.items {
			weight += g.Weight(item)
		}
		if len(calls) > 0 && total+weight > g.MaxWeight {
			break
		}
		calls = append(calls, c)
		total += weight
		taken++
	}
	clear(g.waiting[:taken])
	g.waiting = g.waiting[taken:]
	if len(calls) == 0 {
		g.waiting = nil
		g.running = false
	}
	return calls
}
