package apikey

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/settings"
	"github.com/mixpeek/webhooks-go/webhook"
)

// Errors of [Keys].
var (
	// ErrMalformed means that a text is no API key: it is cut off, or has a typo.
	ErrMalformed = errors.New("apikey: this is no API key")
	// ErrUnknown means that there is no such API key.
	ErrUnknown = errors.New("apikey: there is no such API key")
	// ErrRevoked means that the API key was revoked.
	ErrRevoked = errors.New("apikey: the API key was revoked")
	// ErrExpired means that the API key has expired.
	ErrExpired = errors.New("apikey: the API key has expired")
	// ErrRights means that the person who creates or revokes the API key does not have the rights for
	// it.
	ErrRights = errors.New("apikey: not allowed with these rights")
	// ErrUnsupported means that the store has no [webhook.APIKeyStore].
	ErrUnsupported = errors.New("apikey: the store cannot keep API keys")
	// ErrBusy means that too many unknown API keys are being looked up. It matches
	// [webhook.ErrUnavailable].
	ErrBusy = webhook.Unavailable("apikey: too many unknown API keys are being looked up")
)

const (
	// DefaultPrefix is the default of Config.Prefix.
	DefaultPrefix = "sk_"
	// DefaultMax is the default of Config.MaxPerOrganization.
	DefaultMax = 100
	// MaxName is how many bytes the name of an API key, or of its creator, may have.
	MaxName = 200
	// MaxGuesses is how many API keys that this process has not seen to work are looked up at a time.
	MaxGuesses = 4
	// UsePrecision is how much LastUsedAt may be behind: it is written no more often.
	UsePrecision = time.Minute

	guessTime = time.Second
	useTime   = 5 * time.Second
	maxWrites = 2
)

// Store is what [Keys] need of a store. A [webhook.Store] has it, and so does a Dispatcher.
type Store interface {
	// Capabilities says, among other things, whether the store can keep API keys.
	Capabilities() webhook.Capabilities
}

// Config configures [Keys]. In every field zero means the default.
type Config struct {
	// Prefix begins every API key, so that people and scanners for secrets recognize it: 1 to 32
	// ASCII letters, digits, "_" and "-". Keys with another prefix do not work. Defaults to
	// DefaultPrefix.
	Prefix string
	// MaxPerOrganization is how many API keys an organization may have, those that have ended
	// included: of these, the ones that ended first make room for new ones. A negative number is an
	// error. Defaults to DefaultMax.
	MaxPerOrganization int
	// Audit is told of each API key that was created or revoked, after it was tried. It is called in
	// the goroutine of the call, must be safe for concurrent use, and should not block. Nil is told
	// nothing.
	Audit func(context.Context, Change)
	// Logger gets a warning if a last use could not be written. Defaults to slog.Default().
	Logger *slog.Logger
}

// Change is what Config.Audit is told.
type Change struct {
	// Action is "create" or "revoke".
	Action string
	// Key is what was created or revoked. If Err is not nil, it is what was asked for.
	Key webhook.APIKey
	// By names who did it.
	By string
	// Err is why it failed. Nil if it was done.
	Err error
}

// Holder is the person or the API key that creates or revokes API keys.
type Holder struct {
	// Name is kept as CreatedBy or RevokedBy, up to MaxName bytes of it.
	Name string
	webhook.Rights
	// OrganizationID is where the rights count. Those of an operator count everywhere.
	OrganizationID string
	// ExpiresAt is when the rights end. Keys that the holder creates expire no later. Zero is never.
	ExpiresAt time.Time
}

// Service is the holder of all rights: the service itself.
func Service(name string) Holder {
	return Holder{Name: name, Rights: webhook.Rights{Role: webhook.RoleAdminister, Reveal: true,
		Operator: true}}
}

// may reports whether the holder may manage API keys of the organization.
func (h *Holder) may(organizationID string) bool {
	return h.Role >= webhook.RoleAdminister && (h.Operator || h.OrganizationID == organizationID)
}

// Keys makes and checks the API keys in a store. All Keys on one store, in any process, share them.
// Make it with [New]. It is safe for concurrent use.
type Keys struct {
	store   webhook.APIKeyStore
	cfg     Config
	guesses chan struct{}
	writes  chan struct{}
	running sync.WaitGroup // of writes

	seen seenKeys
}

// New returns Keys. It returns an [*event.ValidationError] that lists every invalid field of cfg,
// ErrUnsupported if the store cannot keep API keys, and another error if store is nil.
func New(store Store, cfg Config) (*Keys, error) {
	if store == nil {
		return nil, errors.New("apikey: New: the store is nil")
	}
	if cfg.Prefix == "" {
		cfg.Prefix = DefaultPrefix
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	var p event.Problems
	if !prefixPattern.MatchString(cfg.Prefix) {
		p.Add("Prefix", `must be 1 to 32 ASCII letters, digits, "_" and "-"`)
	}
	settings.Default(&cfg.MaxPerOrganization, DefaultMax)
	settings.AtLeast(&p, "MaxPerOrganization", cfg.MaxPerOrganization, 1)
	if err := p.Err(); err != nil {
		return nil, err
	}
	keys := store.Capabilities().APIKeys
	if keys == nil {
		return nil, ErrUnsupported
	}
	return &Keys{store: keys, cfg: cfg, guesses: make(chan struct{}, MaxGuesses),
		writes: make(chan struct{}, maxWrites), seen: newSeenKeys(cfg.MaxPerOrganization)}, nil
}

// Create makes an API key with the organization, name, rights and time of expiry of asked, and
// stores its hash. Show the key to its owner: it cannot be read again.
//
// Create returns an [*event.ValidationError] for an invalid field of asked, an error that matches
// ErrRights if by does not include what is asked for (see Rights in the documentation of the
// package), and a [*webhook.LimitError] if the organization has too many API keys that work.
func (k *Keys) Create(
	ctx context.Context, by Holder, asked webhook.APIKey,
) (key string, created webhook.APIKey, err error) {
	by.Name = cleanName(by.Name)
	created = webhook.APIKey{ID: newID(), OrganizationID: asked.OrganizationID, Name: asked.Name,
		Rights: asked.Rights, CreatedAt: time.Now().UTC().Truncate(time.Microsecond), CreatedBy: by.Name,
		ExpiresAt: asked.ExpiresAt.UTC().Truncate(time.Microsecond)}
	key = newToken(k.cfg.Prefix)
	hash, err := parse(k.cfg.Prefix, key)
	if err == nil {
		err = check(&created)
	}
	if err == nil {
		err = by.checkGrant(&created)
	}
	if err == nil {
		err = k.store.CreateAPIKey(ctx, created, hash, k.cfg.MaxPerOrganization)
	}
	k.audit(ctx, Change{Action: "create", Key: created, By: by.Name, Err: err})
	if err != nil {
		return "", webhook.APIKey{}, err
	}
	return key, created, nil
}

// printable reports whether the text can be an id or a name. Some databases refuse others.
func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// check returns what is wrong with an API key that is to be created.
func check(key *webhook.APIKey) error {
	var p event.Problems
	if key.Name == "" || len(key.Name) > MaxName || !printable(key.Name) ||
		strings.TrimSpace(key.Name) != key.Name {
		p.Add("name", "must have 1 to %d bytes, no control characters, and no spaces around it", MaxName)
	}
	if len(key.OrganizationID) > 200 || !printable(key.OrganizationID) {
		p.Add("organization_id", "must have at most 200 bytes and no control characters")
	}
	if !key.Role.Valid() {
		p.Add("role", "must be read, operate or administer")
	}
	if !key.ExpiresAt.IsZero() && !key.ExpiresAt.After(key.CreatedAt) {
		p.Add("expires_at", "must be in the future")
	}
	if key.ExpiresAt.Year() > 9999 { // what JSON can have
		p.Add("expires_at", "must be before the year 10000")
	}
	return p.Err()
}

// checkGrant returns an error unless the holder may create the API key.
func (h *Holder) checkGrant(key *webhook.APIKey) error {
	switch {
	case !h.may(key.OrganizationID):
		return ErrRights
	case !h.Include(key.Rights):
		return &rightsError{"it would have more rights than its creator"}
	case !h.ExpiresAt.IsZero() && (key.ExpiresAt.IsZero() || key.ExpiresAt.After(h.ExpiresAt)):
		return &rightsError{"it would outlive its creator, which expires at " +
			h.ExpiresAt.UTC().Format(time.RFC3339)}
	}
	return nil
}

// rightsError is an ErrRights with its reason.
type rightsError struct{ reason string }

func (e *rightsError) Error() string        { return ErrRights.Error() + ": " + e.reason }
func (e *rightsError) Is(target error) bool { return target == ErrRights }

// List returns the API keys that fit the query, the oldest first, those that have ended included.
func (k *Keys) List(ctx context.Context, q webhook.APIKeyQuery) ([]webhook.APIKey, error) {
	if !printable(q.OrganizationID) || !printable(q.After.ID) {
		return nil, nil
	}
	return k.store.APIKeys(ctx, q)
}

// Revoke ends an API key: the next request with it is refused, in every process. It returns the API
// key as it is now. One that was revoked before stays as it is. Revoke returns an error that matches
// [webhook.ErrNotFound] if the organization has no such API key, and one that matches ErrRights if by
// may not manage its API keys.
func (k *Keys) Revoke(
	ctx context.Context, by Holder, organizationID, id string,
) (revoked webhook.APIKey, err error) {
	by.Name = cleanName(by.Name)
	switch {
	case !by.may(organizationID):
		err = ErrRights
	case !printable(organizationID) || !IsID(id):
		err = webhook.ErrNotFound
	default:
		revoked, err = k.store.RevokeAPIKey(ctx, time.Now(), organizationID, id, by.Name)
	}
	if err == nil {
		k.seen.forgetID(organizationID, id)
	}
	told := Change{Action: "revoke", Key: revoked, By: by.Name, Err: err}
	if err != nil {
		told.Key = webhook.APIKey{OrganizationID: organizationID}
		if IsID(id) {
			told.Key.ID = id
		}
	}
	k.audit(ctx, told)
	return revoked, err
}

func (k *Keys) audit(ctx context.Context, c Change) {
	if k.cfg.Audit != nil {
		k.cfg.Audit(ctx, c)
	}
}

// cleanName returns a name in a form that can be stored.
func cleanName(name string) string {
	name = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(name, ""))
	if len(name) > MaxName {
		name = strings.ToValidUTF8(name[:MaxName], "")
	}
	return name
}

// Authenticate returns the API key, if it works. It reads one row of the store, and writes
// LastUsedAt, once a minute, without waiting for that.
//
// It returns an error that matches ErrMalformed, ErrUnknown, ErrRevoked or ErrExpired if the key does
// not work, and ErrBusy, or the error of the store, if that is not known.
func (k *Keys) Authenticate(ctx context.Context, key string) (webhook.APIKey, error) {
	hash, err := parse(k.cfg.Prefix, key)
	if err != nil {
		return webhook.APIKey{}, err
	}
	found, err := k.lookUp(ctx, hash)
	now := time.Now()
	switch {
	case errors.Is(err, webhook.ErrNotFound):
		err = ErrUnknown
	case err != nil:
		return webhook.APIKey{}, err
	case !found.RevokedAt.IsZero():
		err = ErrRevoked
	case !found.Works(now):
		err = ErrExpired
	}
	if err != nil {
		k.seen.forget(hash)
		return webhook.APIKey{}, err
	}
	if k.seen.note(hash, &found, now) {
		k.use(ctx, hash, now)
	}
	return found, nil
}

// lookUp reads the API key. One that was not seen to work waits for its turn.
func (k *Keys) lookUp(ctx context.Context, hash webhook.APIKeyHash) (webhook.APIKey, error) {
	if k.seen.has(hash) {
		return k.store.APIKey(ctx, hash)
	}
	timer := time.NewTimer(guessTime)
	defer timer.Stop()
	select {
	case k.guesses <- struct{}{}:
		defer func() { <-k.guesses }()
		return k.store.APIKey(ctx, hash)
	case <-timer.C:
		return webhook.APIKey{}, ErrBusy
	case <-ctx.Done():
		return webhook.APIKey{}, ctx.Err()
	}
}

// use writes the last use in a goroutine of its own. If too many writes are in progress, it is left
// to a later request.
func (k *Keys) use(ctx context.Context, hash webhook.APIKeyHash, at time.Time) {
	select {
	case k.writes <- struct{}{}:
	default:
		return
	}
	k.running.Go(func() {
		defer func() { <-k.writes }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), useTime)
		defer cancel()
		if err := k.store.UseAPIKey(ctx, hash, at); err != nil {
			k.cfg.Logger.WarnContext(ctx, "apikey: the last use of an API key could not be written",
				"error", err)
		}
	})
}

// Wait waits for writes of last uses that are in progress, which takes 5 seconds at most. Call it
// when the server has stopped, and before the store is closed.
func (k *Keys) Wait() { k.running.Wait() }
