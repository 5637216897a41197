package dedupetest

import (
	"sync"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/receiver"
)

// rounds is how often a race is run: one that is lost once in a hundred times
// passes with a probability below 0.05.
const rounds = 300

// rivals is how many take part in each.
const rivals = 8

// compete has every rival claim every key, all at about the same time, and
// returns who won each.
func (s *suite) compete(keys []string) map[string][]receiver.Claim {
	s.Helper()
	var (
		mu      sync.Mutex
		winners = make(map[string][]receiver.Claim)
		wg      sync.WaitGroup
		start   = make(chan struct{})
	)
	for range rivals {
		store := s.open(s.T)
		wg.Go(func() {
			<-start
			for _, key := range keys {
				c := receiver.Claim{Key: key, Token: receiver.NewToken()}
				standing, err := store.Claim(s.Context(), c, long)
				if !assert.NoError(s, err) {
					return
				}
				if standing.State == receiver.Claimed {
					mu.Lock()
					winners[key] = append(winners[key], c)
					mu.Unlock()
				}
			}
		})
	}
	close(start)
	wg.Wait()
	return winners
}

// oneWinner checks that each key has one, who can settle.
func (s *suite) oneWinner(keys []string, winners map[string][]receiver.Claim) {
	s.Helper()
	for _, key := range keys {
		require.Len(s, winners[key], 1, "winners of one race")
		require.NoError(s, s.store.Done(s.Context(), winners[key][0], long))
	}
}

func (s *suite) race() {
	keys := make([]string, rounds)
	for i := range keys {
		keys[i] = newClaim().Key
	}
	s.oneWinner(keys, s.compete(keys))
}

func (s *suite) raceTakeOver() {
	keys, old := make([]string, rounds), make([]receiver.Claim, rounds)
	for i := range keys {
		old[i] = newClaim()
		keys[i] = old[i].Key
		s.take(old[i], short)
	}
	s.passed()
	winners := s.compete(keys)
	for _, c := range old {
		assert.ErrorIs(s, s.store.Done(s.Context(), c, long), receiver.ErrStaleToken)
	}
	s.oneWinner(keys, winners)
}

// raceExtend has the late holder of each key extend it while another claims it.
func (s *suite) raceExtend() {
	held := make([]receiver.Claim, rounds)
	for i := range held {
		held[i] = newClaim()
		s.take(held[i], short)
	}
	s.passed()
	var (
		wg                  sync.WaitGroup
		extended, takenOver [rounds]bool
	)
	wg.Go(func() {
		for i, c := range held {
			err := s.store.Extend(s.Context(), c, long)
			if err != nil {
				assert.ErrorIs(s, err, receiver.ErrStaleToken)
			}
			extended[i] = err == nil
		}
	})
	other := s.open(s.T)
	wg.Go(func() {
		for i := range held {
			c := held[rounds-1-i] // the other way round, so that they meet
			standing, err := other.Claim(s.Context(), rival(c), long)
			assert.NoError(s, err)
			takenOver[rounds-1-i] = standing.State == receiver.Claimed
		}
	})
	wg.Wait()
	for i := range held {
		assert.NotEqual(s, extended[i], takenOver[i], "extended and taken over, or neither")
	}
}
