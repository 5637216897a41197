package invalidate

import (
	"context"
	"sync"
	"time"
)

// Counters keep generation numbers. Package counterstest executes the rules. All methods
// are safe for concurrent use.
type Counters interface {
	// Bump makes each number larger than any that Read has returned for its name. All
	// calls of Read that begin after Bump has returned see it. Names may repeat.
	//
	// If a store can lose numbers, because it evicts or its process ends, a lost number must be
	// replaced by the current Unix time in milliseconds, or another number that is larger than any
	// that was returned before, so that no old number returns.
	Bump(ctx context.Context, names ...string) error
	// Read returns the numbers in the order of the names. A name that was never bumped
	// has a number too, which stays the same.
	Read(ctx context.Context, names ...string) ([]int64, error)
}

// MemoryCounters are [Counters] for one process with a cache in its memory. Make them with
// [NewMemoryCounters]. They hold a number for each namespace and collection that an event
// has made stale.
type MemoryCounters struct {
	first int64

	mu      sync.Mutex
	numbers map[string]int64
}

// NewMemoryCounters returns counters whose numbers start at the current Unix time in milliseconds,
// so that no number of an earlier process returns.
func NewMemoryCounters() *MemoryCounters {
	return &MemoryCounters{first: time.Now().UnixMilli(), numbers: make(map[string]int64)}
}

// Bump implements [Counters].
func (c *MemoryCounters) Bump(_ context.Context, names ...string) error {
	now := time.Now().UnixMilli()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range names {
		c.numbers[name] = max(now, c.read(name)+1)
	}
	return nil
}

// Read implements [Counters].
func (c *MemoryCounters) Read(_ context.Context, names ...string) ([]int64, error) {
	numbers := make([]int64, len(names))
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, name := range names {
		numbers[i] = c.read(name)
	}
	return numbers, nil
}

func (c *MemoryCounters) read(name string) int64 {
	if number, bumped := c.numbers[name]; bumped {
		return number
	}
	return c.first
}
