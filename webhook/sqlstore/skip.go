package sqlstore

import (
	"context"
	"math"
	"slices"
	"sync"

	"github.com/mixpeek/webhooks-go/webhook"
)

const (
	// maxSkipped and maxSkippedOrganizations bound what the statements of a claim pass
	// over. Each organization is a statement more.
	maxSkipped              = 10_000
	maxSkippedOrganizations = 250
	// maxSkipLookups bounds the endpoints that one claim looks up: the next one looks
	// for others.
	maxSkipLookups = 1000
	// maxSkippedIDs bounds what is remembered. Forgetting costs queries.
	maxSkippedIDs = 100_000
)

// skippedIDs remembers the ids of endpoints that claims were asked to skip: most of them
// are those of the claim before. An id may be out of date, because the endpoint was
// deleted and made again; that is found out by what is found for it. The zero value is
// ready to use.
type skippedIDs struct {
	mu  sync.Mutex
	ids map[webhook.Endpoint]int64
}

func (s *skippedIDs) remember(e webhook.Endpoint, id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil || len(s.ids) >= maxSkippedIDs {
		s.ids = make(map[webhook.Endpoint]int64)
	}
	s.ids[e] = id
}

// known returns the ids of endpoints, maxSkipped at most, and endpoints to be looked up.
func (s *skippedIDs) known(endpoints []webhook.Endpoint) (ids []int64, unknown []webhook.Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range endpoints {
		id, ok := s.ids[e]
		switch {
		case len(ids)+len(unknown) == maxSkipped:
			return ids, unknown
		case ok:
			ids = append(ids, id)
		case len(unknown) < maxSkipLookups:
			unknown = append(unknown, e)
		}
	}
	return ids, unknown
}

// skipping is what a claim passes over.
type skipping struct {
	request       webhook.ClaimRequest
	ids, numbers  []int64 // of endpoints and organizations
	endpoints     map[webhook.Endpoint]struct{}
	organizations map[string]struct{}
}

// findSkipped looks up the endpoints and organizations that are not to be claimed
// for.
func (s *Store) findSkipped(ctx context.Context, q Querier, r webhook.ClaimRequest) (*skipping, error) {
	skip := &skipping{request: r}
	var unknown []webhook.Endpoint
	skip.ids, unknown = s.skipped.known(r.Skip)
	rows := make([]any, 0, 2*len(unknown))
	for _, e := range unknown {
		rows = append(rows, e.SubscriptionID, e.Channel)
	}
	err := s.x.dialect.queryBatch(ctx, q, s.claim.endpoints, rows, nil, func(row scanner) error {
		var id int64
		var e webhook.Endpoint
		err := row.Scan(&id, &e.SubscriptionID, &e.Channel)
		skip.ids = append(skip.ids, id)
		s.skipped.remember(e, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	rows = rows[:0]
	for _, id := range r.SkipOrganizations[:min(len(r.SkipOrganizations), maxSkippedOrganizations)] {
		rows = append(rows, id)
	}
	err = s.x.dialect.queryBatch(ctx, q, s.claim.numbers, rows, nil, func(row scanner) error {
		var number int64
		err := row.Scan(&number)
		skip.numbers = append(skip.numbers, number)
		return err
	})
	return skip, err
}

// skip says what the claim passes over.
func (c *claiming) skip(skip *skipping) {
	slices.Sort(skip.ids)
	c.skipped = skip.ids
	for _, number := range skip.numbers {
		c.stops[number] = skipIt
	}
}

// skippedIn returns which of the endpoints after from, up to to, are passed over.
func (c *claiming) skippedIn(from, to int64) []int64 {
	first, _ := slices.BinarySearch(c.skipped, from+1)
	last := len(c.skipped)
	if to < math.MaxInt64 {
		last, _ = slices.BinarySearch(c.skipped, to+1)
	}
	return c.skipped[first:max(first, last)]
}

// unwanted reports whether the endpoint is to be skipped, and notes that it was found.
func (s *skipping) unwanted(endpointID int64, o *owner) bool {
	if s.endpoints == nil {
		s.endpoints = make(map[webhook.Endpoint]struct{}, len(s.request.Skip))
		for _, e := range s.request.Skip {
			s.endpoints[e] = struct{}{}
		}
		s.organizations = make(map[string]struct{}, len(s.request.SkipOrganizations))
		for _, id := range s.request.SkipOrganizations {
			s.organizations[id] = struct{}{}
		}
	}
	_, organization := s.organizations[o.organizationID]
	_, endpoint := s.endpoints[o.endpoint]
	number := organizationOf(endpointID)
	switch {
	case organization && number > 0:
		s.numbers = append(s.numbers, number)
	case organization, endpoint: // endpoints of before there were numbers have 0
		s.ids = append(s.ids, endpointID)
	}
	return organization || endpoint
}
