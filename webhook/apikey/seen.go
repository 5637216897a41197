package apikey

import (
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// maxSeen is how many API keys of all organizations are remembered.
const maxSeen = 100_000

// seenKeys are API keys that were found to work. They are looked up all the same: it only says who
// waits for whom.
//
// The keys of an organization take the place of its own ones, so that an organization that makes and
// revokes keys without end has nobody else's forgotten.
type seenKeys struct {
	perOrganization int

	mu             sync.Mutex
	organizations  map[string]map[webhook.APIKeyHash]*seenKey
	organizationOf map[webhook.APIKeyHash]string
}

type seenKey struct {
	id string
	// written is when this process last began to write the last use.
	written time.Time
}

func newSeenKeys(perOrganization int) seenKeys {
	return seenKeys{perOrganization: perOrganization,
		organizations:  make(map[string]map[webhook.APIKeyHash]*seenKey),
		organizationOf: make(map[webhook.APIKeyHash]string)}
}

func (s *seenKeys) has(hash webhook.APIKeyHash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, seen := s.organizationOf[hash]
	return seen
}

// note remembers that the API key works, and reports whether its last use has to be written.
func (s *seenKeys) note(hash webhook.APIKeyHash, found *webhook.APIKey, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := s.organizations[found.OrganizationID]
	key := keys[hash]
	if key == nil {
		key = &seenKey{id: found.ID}
		switch {
		case len(keys) >= s.perOrganization:
			s.removeAny(found.OrganizationID)
		case len(s.organizationOf) >= maxSeen:
			s.removeAny(s.largest())
		}
		if keys = s.organizations[found.OrganizationID]; keys == nil {
			keys = make(map[webhook.APIKeyHash]*seenKey)
			s.organizations[found.OrganizationID] = keys
		}
		keys[hash], s.organizationOf[hash] = key, found.OrganizationID
	}
	due := now.Sub(found.LastUsedAt) >= UsePrecision && now.Sub(key.written) >= UsePrecision
	if due {
		key.written = now
	}
	return due
}

// largest returns the organization with the most keys among some, because there may be very many.
func (s *seenKeys) largest() (largest string) {
	const some = 100
	most, n := 0, 0
	for organizationID, keys := range s.organizations {
		if len(keys) > most {
			largest, most = organizationID, len(keys)
		}
		if n++; n == some {
			break
		}
	}
	return largest
}

func (s *seenKeys) removeAny(organizationID string) {
	for hash := range s.organizations[organizationID] {
		s.remove(hash)
		return
	}
}

// forget removes a key that does not work.
func (s *seenKeys) forget(hash webhook.APIKeyHash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(hash)
}

// forgetID removes the key with the id.
func (s *seenKeys) forgetID(organizationID, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for hash, key := range s.organizations[organizationID] {
		if key.id == id {
			s.remove(hash)
			return
		}
	}
}

func (s *seenKeys) remove(hash webhook.APIKeyHash) {
	organizationID := s.organizationOf[hash]
	delete(s.organizationOf, hash)
	keys := s.organizations[organizationID]
	if delete(keys, hash); len(keys) == 0 {
		delete(s.organizations, organizationID)
	}
}
