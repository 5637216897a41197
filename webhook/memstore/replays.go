package memstore

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// replays are those of many deliveries, in the order in which they were created. The zero value is
// empty.
type replays struct {
	mu  sync.Mutex
	all []webhook.Replay
}

// find returns the place of the replay, -1 if there is none.
func (r *replays) find(organizationID, id string) int {
	return slices.IndexFunc(r.all, func(stored webhook.Replay) bool {
		return stored.OrganizationID == organizationID && stored.ID == id
	})
}

// CreateReplay implements [webhook.ReplayStore].
func (s *Store) CreateReplay(ctx context.Context, r *webhook.Replay) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.replays.mu.Lock()
	defer s.replays.mu.Unlock()
	running, ended, oldest := 0, 0, -1
	for i := range s.replays.all {
		switch stored := &s.replays.all[i]; {
		case stored.OrganizationID != r.OrganizationID:
		case !stored.Ended():
			running++
		default:
			ended++
			if oldest < 0 {
				oldest = i
			}
		}
	}
	if running >= webhook.MaxReplays {
		return webhook.TooManyReplays()
	}
	if ended > webhook.EndedReplaysKept {
		s.replays.all = slices.Delete(s.replays.all, oldest, oldest+1)
	}
	r.Revision = 1
	s.replays.all = append(s.replays.all, kept(*r))
	return nil
}

// FindReplay implements [webhook.ReplayStore].
func (s *Store) FindReplay(
	ctx context.Context, organizationID, id string,
) (*webhook.Replay, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.replays.mu.Lock()
	defer s.replays.mu.Unlock()
	i := s.replays.find(organizationID, id)
	if i < 0 {
		return nil, webhook.ErrNotFound
	}
	found := s.replays.all[i]
	return &found, nil
}

// Replays implements [webhook.ReplayStore].
func (s *Store) Replays(
	ctx context.Context, organizationID string,
) (list []*webhook.Replay, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.replays.mu.Lock()
	defer s.replays.mu.Unlock()
	for _, stored := range slices.Backward(s.replays.all) {
		if stored.OrganizationID == organizationID {
			list = append(list, &stored)
		}
	}
	return list, nil
}

// UpdateReplay implements [webhook.ReplayStore].
func (s *Store) UpdateReplay(ctx context.Context, r *webhook.Replay) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.replays.mu.Lock()
	defer s.replays.mu.Unlock()
	switch i := s.replays.find(r.OrganizationID, r.ID); {
	case i < 0:
		return webhook.ErrNotFound
	case s.replays.all[i].Revision != r.Revision:
		return webhook.ErrConflict
	default:
		r.Revision++
		s.replays.all[i] = kept(*r)
		return nil
	}
}

// ClaimReplay implements [webhook.ReplayStore].
func (s *Store) ClaimReplay(
	ctx context.Context, now, until time.Time, skipOrganizations []string,
) (*webhook.Replay, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.replays.mu.Lock()
	defer s.replays.mu.Unlock()
	var first *webhook.Replay
	for i := range s.replays.all {
		r := &s.replays.all[i]
		if !r.Ended() && micros(r.Until) <= micros(now) &&
			(first == nil || r.Until.Before(first.Until)) &&
			!slices.Contains(skipOrganizations, r.OrganizationID) {
			first = r
		}
	}
	if first == nil {
		return nil, nil
	}
	first.Until = moment(micros(until))
	first.Revision++
	claimed := *first
	return &claimed, nil
}

// kept returns the replay with its times as they are kept.
func kept(r webhook.Replay) webhook.Replay {
	for _, at := range []*time.Time{&r.Query.Since, &r.Query.Until, &r.SettledBefore, &r.CreatedAt,
		&r.LastDue, &r.EndedAt, &r.Until} {
		if !at.IsZero() {
			*at = moment(micros(*at))
		}
	}
	return r
}
