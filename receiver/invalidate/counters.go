package invalidate

import (
	"context"
	"sync"
	"time"
)

// Counters keep the generation numbers. Package counterstest executes these
// rules. All methods are safe for concurrent use.
type Counters interface {
	// Bump makes each number larger than any that Read has returned for its
	// name, for every reader from when it returns. Names may repeat.
	//
	// Where numbers can be lost, as in a store that evicts or in a process
	// that ends, they start again at the time, so that none comes back.
	Bump(ctx context.Context, names ...string) error
	// Read returns the numbers in the order of the names. A name that was
	// never bumped has a number too, and keeps it.
	Read(ctx context.Context, names ...string) ([]int64, error)
}

// MemoryCounters are [Counters] of one process, for a cache in its memory. Make
// them with [NewMemoryCounters]. They hold one number for each namespace and
// collection that an event has made stale.
type MemoryCounters struct {
	first int64

	mu      sync.Mutex
	numbers map[string]int64
}

// NewMemoryCounters returns counters that start at the time, so that they do
// not repeat the numbers of an earlier process.
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
