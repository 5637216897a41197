package webhook

import (
	"context"
	"fmt"
	"time"
)

// Role says what a person or an API key may do. Each role includes those before it.
type Role int

// The roles. The zero Role may look at everything but secrets.
const (
	// RoleRead may look.
	RoleRead Role = iota
	// RoleOperate may replay, cancel and skip deliveries, send tests, publish events (if
	// api.Config.Publish is set), pause subscriptions, enable and disable endpoints, and move named
	// positions.
	RoleOperate
	// RoleAdminister may create, change and delete subscriptions, rotate signing secrets, and create
	// and revoke API keys.
	RoleAdminister
)

var roleNames = [...]string{"read", "operate", "administer"}

// Valid reports whether the role is one of the constants.
func (r Role) Valid() bool { return r >= 0 && int(r) < len(roleNames) }

// String returns the name of the role: "read", "operate" or "administer".
func (r Role) String() string {
	if !r.Valid() {
		return "unknown"
	}
	return roleNames[r]
}

// MarshalText returns the name of the role.
func (r Role) MarshalText() ([]byte, error) {
	if !r.Valid() {
		return nil, fmt.Errorf("webhook: there is no role %d", int(r))
	}
	return []byte(roleNames[r]), nil
}

// UnmarshalText reads the name of a role.
func (r *Role) UnmarshalText(text []byte) error {
	for role, name := range roleNames {
		if name == string(text) {
			*r = Role(role)
			return nil
		}
	}
	return fmt.Errorf("webhook: a role must be read, operate or administer")
}

// Rights is what a person or an API key may do.
type Rights struct {
	Role Role `json:"role"`
	// Reveal allows its holder to see secrets, such as header values and signing secrets.
	Reveal bool `json:"reveal"`
	// Operator allows the same in all organizations.
	Operator bool `json:"operator"`
}

// Include reports whether the rights are at least the others.
func (r Rights) Include(others Rights) bool {
	return r.Role >= others.Role && (r.Reveal || !others.Reveal) && (r.Operator || !others.Operator)
}

// APIKey is an API key as it is stored and listed: all but the key itself, of which a store keeps
// only a hash. Package apikey makes and checks them.
type APIKey struct {
	// ID names the API key in lists and logs: "key_" and 16 hexadecimal digits. It opens nothing.
	ID string `json:"api_key_id"`
	// OrganizationID is the organization that the API key belongs to. It is never part of the JSON.
	OrganizationID string `json:"-"`
	// Name is for people.
	Name string `json:"name"`
	Rights
	CreatedAt time.Time `json:"created_at"`
	// CreatedBy names who created it, and RevokedBy who revoked it.
	CreatedBy string `json:"created_by"`
	// ExpiresAt is when it stops working. Zero is never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// LastUsedAt is when it was last used, to the minute. Zero is never.
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
	// RevokedAt is when it was revoked. Zero is never.
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	RevokedBy string    `json:"revoked_by,omitempty"`
}

// Ended returns when the API key stops working, or has stopped: when it expires or was revoked,
// whichever is first. Zero is never.
func (k *APIKey) Ended() time.Time {
	if k.RevokedAt.IsZero() || !k.ExpiresAt.IsZero() && k.ExpiresAt.Before(k.RevokedAt) {
		return k.ExpiresAt
	}
	return k.RevokedAt
}

// Works reports whether the API key is neither expired nor revoked at that time.
func (k *APIKey) Works(at time.Time) bool {
	ended := k.Ended()
	return ended.IsZero() || at.Before(ended)
}

// Cursor returns the position after the API key in a list.
func (k *APIKey) Cursor() APIKeyCursor { return APIKeyCursor{k.CreatedAt, k.ID} }

// APIKeyCursor is a position in a list of API keys. The zero value is the beginning.
type APIKeyCursor struct {
	// CreatedAt and ID are those of the API key before the position.
	CreatedAt time.Time
	ID        string
}

// APIKeyQuery selects API keys of one organization.
type APIKeyQuery struct {
	OrganizationID string
	// After selects the API keys after this position: the Cursor of the last one of the page before.
	After APIKeyCursor
	// Limit is the largest number to return. 0 or less means [DefaultPageSize].
	Limit int
}

// PageSize returns how many API keys the query asks for at most.
func (q *APIKeyQuery) PageSize() int {
	if q.Limit <= 0 {
		return DefaultPageSize
	}
	return q.Limit
}

// APIKeyHash is the SHA-256 of an API key.
type APIKeyHash [32]byte

// APIKeyStore keeps API keys for all processes that share the store. What one process has stored,
// the next call in any process sees: nothing is cached.
type APIKeyStore interface {
	// CreateAPIKey stores the API key under its hash. It returns ErrExists if the id or the hash is
	// taken, by any organization. An organization has at most that many API keys, including those that
	// no longer work, of which the store first removes the ones that ended earliest. If that is not
	// enough, it returns the error of [TooManyAPIKeys]. Concurrent calls, also of several processes,
	// do not exceed the number together. Which ones work is judged by CreatedAt.
	CreateAPIKey(ctx context.Context, key APIKey, hash APIKeyHash, most int) error
	// APIKey returns the API key with the hash, whether or not it works, or ErrNotFound. It is called
	// for each request, so it should read one row by an index.
	APIKey(ctx context.Context, hash APIKeyHash) (APIKey, error)
	// APIKeys returns the organization's API keys that fit the query, the oldest first (by CreatedAt,
	// then ID). Those that were revoked or have expired are among them.
	APIKeys(ctx context.Context, q APIKeyQuery) ([]APIKey, error)
	// RevokeAPIKey marks the API key as revoked, and returns it. One that is revoked stays as it is.
	// It returns ErrNotFound if the organization has no such API key.
	RevokeAPIKey(ctx context.Context, now time.Time, organizationID, id, by string) (APIKey, error)
	// UseAPIKey sets LastUsedAt of the API key with the hash, unless that is later. It does nothing if
	// there is none.
	UseAPIKey(ctx context.Context, hash APIKeyHash, at time.Time) error
}

// TooManyAPIKeys returns the error of CreateAPIKey for one API key more than an organization may
// have.
func TooManyAPIKeys(most int) error { return &LimitError{Limit: "API keys", Max: most} }
