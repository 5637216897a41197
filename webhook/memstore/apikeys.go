package memstore

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// apiKeys are the API keys of all organizations. The zero value is empty.
type apiKeys struct {
	mu     sync.Mutex
	byHash map[webhook.APIKeyHash]*webhook.APIKey
	byID   map[string]webhook.APIKeyHash
	// listed are those of each organization, the oldest first.
	listed map[string][]*webhook.APIKey
}

// CreateAPIKey implements [webhook.APIKeyStore].
func (s *Store) CreateAPIKey(
	ctx context.Context, key webhook.APIKey, hash webhook.APIKeyHash, most int,
) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	k := &s.apiKeys
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, t := range []*time.Time{&key.CreatedAt, &key.ExpiresAt, &key.RevokedAt, &key.LastUsedAt} {
		*t = moment(micros(*t))
	}
	_, taken := k.byID[key.ID]
	if taken || k.byHash[hash] != nil {
		return webhook.ErrExists
	}
	all := k.listed[key.OrganizationID]
	if tooMany := len(all) + 1 - most; tooMany > 0 {
		var ended []*webhook.APIKey
		for _, stored := range all {
			if !stored.Works(key.CreatedAt) {
				ended = append(ended, stored)
			}
		}
		if len(ended) < tooMany {
			return webhook.TooManyAPIKeys(most)
		}
		slices.SortFunc(ended, func(a, b *webhook.APIKey) int {
			return cmp.Or(a.Ended().Compare(b.Ended()), cmp.Compare(a.ID, b.ID))
		})
		for _, stored := range ended[:tooMany] {
			delete(k.byHash, k.byID[stored.ID])
			delete(k.byID, stored.ID)
			all = slices.DeleteFunc(all, func(other *webhook.APIKey) bool { return other == stored })
		}
	}
	at, _ := slices.BinarySearchFunc(all, key.Cursor(), afterCursor)
	if k.byHash == nil {
		k.byHash, k.byID = map[webhook.APIKeyHash]*webhook.APIKey{}, map[string]webhook.APIKeyHash{}
		k.listed = map[string][]*webhook.APIKey{}
	}
	k.byHash[hash], k.byID[key.ID] = &key, hash
	k.listed[key.OrganizationID] = slices.Insert(all, at, &key)
	return nil
}

// afterCursor compares an API key with a position in a list.
func afterCursor(key *webhook.APIKey, at webhook.APIKeyCursor) int {
	return cmp.Or(key.CreatedAt.Compare(at.CreatedAt), cmp.Compare(key.ID, at.ID))
}

// APIKey implements [webhook.APIKeyStore].
func (s *Store) APIKey(ctx context.Context, hash webhook.APIKeyHash) (webhook.APIKey, error) {
	if err := ctx.Err(); err != nil {
		return webhook.APIKey{}, err
	}
	s.apiKeys.mu.Lock()
	defer s.apiKeys.mu.Unlock()
	key := s.apiKeys.byHash[hash]
	if key == nil {
		return webhook.APIKey{}, webhook.ErrNotFound
	}
	return *key, nil
}

// APIKeys implements [webhook.APIKeyStore].
func (s *Store) APIKeys(ctx context.Context, q webhook.APIKeyQuery) ([]webhook.APIKey, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.apiKeys.mu.Lock()
	defer s.apiKeys.mu.Unlock()
	var found []webhook.APIKey
	for _, key := range s.apiKeys.listed[q.OrganizationID] {
		if afterCursor(key, q.After) > 0 && len(found) < q.PageSize() {
			found = append(found, *key)
		}
	}
	return found, nil
}

// RevokeAPIKey implements [webhook.APIKeyStore].
func (s *Store) RevokeAPIKey(
	ctx context.Context, now time.Time, organizationID, id, by string,
) (webhook.APIKey, error) {
	if err := ctx.Err(); err != nil {
		return webhook.APIKey{}, err
	}
	s.apiKeys.mu.Lock()
	defer s.apiKeys.mu.Unlock()
	key := s.apiKeys.byHash[s.apiKeys.byID[id]]
	if key == nil || key.OrganizationID != organizationID {
		return webhook.APIKey{}, webhook.ErrNotFound
	}
	if key.RevokedAt.IsZero() {
		key.RevokedAt, key.RevokedBy = moment(micros(now)), by
	}
	return *key, nil
}

// UseAPIKey implements [webhook.APIKeyStore].
func (s *Store) UseAPIKey(ctx context.Context, hash webhook.APIKeyHash, at time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.apiKeys.mu.Lock()
	defer s.apiKeys.mu.Unlock()
	if key := s.apiKeys.byHash[hash]; key != nil && key.LastUsedAt.Before(at) {
		key.LastUsedAt = moment(micros(at))
	}
	return nil
}
