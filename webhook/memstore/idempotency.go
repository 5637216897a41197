package memstore

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// requests are remembered by key. The zero value is empty.
type requests struct {
	mu    sync.Mutex
	byKey map[string]webhook.IdempotentRequest
	order []begun // some are gone, or have begun again
}

type begun struct {
	key string
	at  int64
}

// BeginIdempotent implements [webhook.IdempotencyStore].
func (s *Store) BeginIdempotent(
	ctx context.Context, r webhook.IdempotentRequest, expired time.Time,
) (webhook.IdempotentRequest, bool, error) {
	if err := ctx.Err(); err != nil {
		return webhook.IdempotentRequest{}, false, err
	}
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	s.requests.expire(micros(expired))
	stored, known := s.requests.byKey[string(r.Key)]
	switch {
	case !known || micros(stored.Began) < micros(expired):
		stored = copyRequest(r)
		s.requests.order = append(s.requests.order, begun{string(r.Key), micros(r.Began)})
	case stored.Answer == nil && micros(stored.Until) <= micros(r.Began) &&
		bytes.Equal(stored.Digest, r.Digest):
		stored.Until = moment(micros(r.Until))
	default:
		return copyRequest(stored), false, nil
	}
	if s.requests.byKey == nil {
		s.requests.byKey = make(map[string]webhook.IdempotentRequest)
	}
	s.requests.byKey[string(r.Key)] = stored
	return copyRequest(stored), true, nil
}

// EndIdempotent implements [webhook.IdempotencyStore].
func (s *Store) EndIdempotent(ctx context.Context, r webhook.IdempotentRequest) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	stored, known := s.requests.byKey[string(r.Key)]
	switch {
	case !known || micros(stored.Until) != micros(r.Until):
	case r.Answer == nil:
		delete(s.requests.byKey, string(r.Key))
	default:
		stored.Answer = bytes.Clone(r.Answer)
		s.requests.byKey[string(r.Key)] = stored
	}
	return nil
}

// expire removes requests that began before the time.
func (r *requests) expire(before int64) {
	for range webhook.MaxExpired {
		if len(r.order) == 0 || r.order[0].at >= before {
			return
		}
		oldest := r.order[0]
		r.order = r.order[1:]
		if micros(r.byKey[oldest.key].Began) == oldest.at {
			delete(r.byKey, oldest.key)
		}
	}
}

// copyRequest returns a copy that shares nothing, with times as they are kept.
func copyRequest(r webhook.IdempotentRequest) webhook.IdempotentRequest {
	return webhook.IdempotentRequest{
		Key: bytes.Clone(r.Key), Digest: bytes.Clone(r.Digest), Answer: bytes.Clone(r.Answer),
		Began: moment(micros(r.Began)), Until: moment(micros(r.Until)),
	}
}
