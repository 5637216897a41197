package dispatch

import (
	"context"
	"runtime"
	"sync"
)

// groupCommit lets concurrent callers share one call of commit: what arrives
// while a commit is under way forms the next one. A caller on its own waits for
// nobody.
type groupCommit[T any] struct {
	// commit stores the items, all or nothing.
	commit func(context.Context, []T) error
	// weight of an item, and the most that one commit takes on. A commit takes
	// at least one waiting call, whatever it weighs.
	weight    func(T) int
	maxWeight int

	mu      sync.Mutex
	waiting []*commitCall[T]
	busy    bool
}

type commitCall[T any] struct {
	ctx   context.Context
	items []T
	done  chan error
}

// do returns when the items are committed. If ctx ends first, they may or may
// not be committed in the end.
func (g *groupCommit[T]) do(ctx context.Context, items []T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	call := &commitCall[T]{ctx: ctx, items: items, done: make(chan error, 1)}
	g.mu.Lock()
	g.waiting = append(g.waiting, call)
	start := !g.busy
	g.busy = true
	g.mu.Unlock()
	if start {
		// A goroutine of its own, because the caller may leave before its
		// commit ends, and must not be kept by those of others.
		go g.work(context.WithoutCancel(ctx))
	}
	select {
	case err := <-call.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// work commits until nobody waits.
func (g *groupCommit[T]) work(ctx context.Context) {
	for {
		runtime.Gosched() // whoever is about to call joins this commit
		calls := g.take()
		if calls == nil {
			return
		}
		var items []T
		for _, c := range calls {
			items = append(items, c.items...)
		}
		commitCtx, cancel := context.WithTimeout(ctx, storeTimeout)
		err := g.commit(commitCtx, items)
		cancel()
		for _, c := range calls {
			c.done <- err
		}
	}
}

// take returns the calls of the next commit, without those whose caller has
// left. It returns nil, and the work is over, when nobody waits.
func (g *groupCommit[T]) take() []*commitCall[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	var calls []*commitCall[T]
	taken, total := 0, 0
	for _, c := range g.waiting {
		if c.ctx.Err() != nil {
			taken++
			continue
		}
		weight := 0
		for _, item := range c.items {
			weight += g.weight(item)
		}
		if len(calls) > 0 && total+weight > g.maxWeight {
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
		g.busy = false
	}
	return calls
}
