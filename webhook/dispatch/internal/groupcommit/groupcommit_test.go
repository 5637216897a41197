package groupcommit_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/groupcommit"
)

// slowCommit records the batches and takes a second for each.
type slowCommit struct {
	mu      sync.Mutex
	batches [][]int
	err     error
}

func (s *slowCommit) group(maxWeight int) *groupcommit.Group[int, string] {
	return &groupcommit.Group[int, string]{
		Commit: func(_ context.Context, items []int) ([]string, error) {
			time.Sleep(time.Second)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.batches = append(s.batches, items)
			results := make([]string, len(items))
			for i, item := range items {
				results[i] = strconv.Itoa(item)
			}
			return results, s.err
		},
		Weight:    func(int) int { return 1 },
		MaxWeight: maxWeight,
		Timeout:   30 * time.Second,
	}
}

func errorOf[T any](_ T, err error) error { return err }

func TestShares(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowCommit{}
		g := s.group(100)
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() { assert.NoError(t, errorOf(g.Do(t.Context(), []int{i}))) })
			if i == 0 {
				synctest.Wait() // the first is on its way, alone
			}
		}
		wg.Wait()
		assert.Equal(t, 2*time.Second, time.Since(start))
		require.Len(t, s.batches, 2)
		assert.Len(t, s.batches[0], 1)
		assert.Len(t, s.batches[1], 49, "all that came during the first commit share the second")
	})
}

func TestBoundsABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowCommit{}
		g := s.group(10)
		var wg sync.WaitGroup
		wg.Go(func() { assert.NoError(t, errorOf(g.Do(t.Context(), make([]int, 25)))) })
		synctest.Wait()
		for range 4 {
			wg.Go(func() { assert.NoError(t, errorOf(g.Do(t.Context(), make([]int, 4)))) })
		}
		wg.Wait()
		var sizes []int
		for _, b := range s.batches {
			sizes = append(sizes, len(b))
		}
		assert.Equal(t, []int{25, 8, 8}, sizes, "one call is never split, several share up to the bound")
	})
}

func TestTellsEveryCallerOfAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		s := &slowCommit{err: broken}
		g := s.group(100)
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() { assert.ErrorIs(t, errorOf(g.Do(t.Context(), []int{i})), broken) })
		}
		wg.Wait()
		s.err = nil
		assert.NoError(t, errorOf(g.Do(t.Context(), []int{1})), "the next commit stands on its own")
	})
}

func TestLetsACallerLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowCommit{}
		g := s.group(100)
		var wg sync.WaitGroup
		wg.Go(func() { assert.NoError(t, errorOf(g.Do(t.Context(), []int{1}))) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		assert.ErrorIs(t, errorOf(g.Do(ctx, []int{2})), context.DeadlineExceeded)
		wg.Wait()
		synctest.Wait()
		assert.Equal(t, [][]int{{1}}, s.batches, "who left before its commit began is not committed")
		assert.ErrorIs(t, errorOf(g.Do(ctx, []int{3})), context.DeadlineExceeded)
	})
}

// TestEachCallGetsItsOwnResults has calls of several sizes in one commit.
func TestEachCallGetsItsOwnResults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowCommit{}
		g := s.group(100)
		var wg sync.WaitGroup
		wg.Go(func() { assert.NoError(t, errorOf(g.Do(t.Context(), []int{0}))) })
		synctest.Wait()
		for i := range 10 {
			wg.Go(func() {
				items, want := make([]int, i+1), make([]string, i+1)
				for j := range items {
					items[j], want[j] = 100*i+j, strconv.Itoa(100*i+j)
				}
				results, err := g.Do(t.Context(), items)
				assert.NoError(t, err)
				assert.Equal(t, want, results)
			})
		}
		wg.Wait()
		assert.Len(t, s.batches, 2)
	})
}

// TestCallsThatWaitHoldUpNoOthers has calls that cannot be committed before something ends, which
// takes too long. Those of the other class succeed, those of the same class too, and calls that come
// later wait for none of them.
func TestCallsThatWaitHoldUpNoOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		blocked := errors.New("blocked")
		s := &slowCommit{}
		g := s.group(100)
		g.Splits = func(err error) bool { return errors.Is(err, blocked) }
		g.Class = func(i int) string { return strconv.Itoa(i % 2) }
		commit := g.Commit
		g.Commit = func(ctx context.Context, items []int) ([]string, error) {
			if slices.Contains(items, 1) || slices.Contains(items, 3) {
				time.Sleep(10 * time.Second)
				return nil, blocked
			}
			return commit(ctx, items)
		}
		start := time.Now()
		took := make(map[int]time.Duration)
		var mu sync.Mutex
		var wg sync.WaitGroup
		call := func(i int) {
			wg.Go(func() {
				results, err := g.Do(t.Context(), []int{i})
				if i == 1 || i == 3 {
					assert.ErrorIs(t, err, blocked)
				} else if assert.NoError(t, err) {
					assert.Equal(t, []string{strconv.Itoa(i)}, results)
				}
				mu.Lock()
				defer mu.Unlock()
				took[i] = time.Since(start)
			})
			synctest.Wait()
		}
		for i := range 7 { // the first alone, and the rest with the two that are blocked
			call(i)
		}
		time.Sleep(5 * time.Second)
		call(8)
		wg.Wait()
		second := func(n int) time.Duration { return time.Duration(n) * time.Second }
		for i, want := range map[int]time.Duration{0: second(1), 8: second(12), 2: second(22),
			4: second(22), 6: second(22), 1: second(32), 3: second(42), 5: second(43)} {
			assert.Equal(t, want, took[i], "%d", i)
		}
	})
}

// TestWhoHasLeftIsNotCommittedApart has a caller leave while all wait for what it waits for.
func TestWhoHasLeftIsNotCommittedApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		blocked := errors.New("blocked")
		s := &slowCommit{}
		g := s.group(100)
		g.Splits = func(error) bool { return true }
		g.Class = strconv.Itoa
		var commits atomic.Int32
		commit := g.Commit
		g.Commit = func(ctx context.Context, items []int) ([]string, error) {
			if slices.Contains(items, 1) {
				commits.Add(1)
				time.Sleep(10 * time.Second)
				return nil, blocked
			}
			return commit(ctx, items)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for i, ctx := range []context.Context{t.Context(), ctx, t.Context()} {
			wg.Go(func() {
				if err := errorOf(g.Do(ctx, []int{i})); i == 1 {
					assert.ErrorIs(t, err, context.DeadlineExceeded)
				} else {
					assert.NoError(t, err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		synctest.Wait()
		assert.EqualValues(t, 1, commits.Load())
	})
}

// TestBoundsWhatIsCommittedApart has the calls of several commits that failed come together. Apart
// from others there are no more of them in one commit than before.
func TestBoundsWhatIsCommittedApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		blocked := errors.New("blocked")
		s := &slowCommit{}
		g := s.group(4)
		g.Splits = func(err error) bool { return errors.Is(err, blocked) }
		g.Class = func(i int) string { return strconv.Itoa(i % 2) }
		commit := g.Commit
		g.Commit = func(ctx context.Context, items []int) ([]string, error) {
			if slices.ContainsFunc(items, func(i int) bool { return i%2 != items[0]%2 }) {
				return nil, blocked
			}
			return commit(ctx, items)
		}
		var wg sync.WaitGroup
		for i := range 33 {
			wg.Go(func() {
				results, err := g.Do(t.Context(), []int{i})
				assert.NoError(t, err)
				assert.Equal(t, []string{strconv.Itoa(i)}, results)
			})
			synctest.Wait()
		}
		wg.Wait()
		largest := 0
		for _, b := range s.batches {
			largest = max(largest, len(b))
		}
		assert.Equal(t, 4, largest)
	})
}
