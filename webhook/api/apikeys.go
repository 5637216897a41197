package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
)

// HeaderOrganization names the organization that a request with an operator's API key is for. With
// any other API key it must be absent, or name the organization of the key.
const HeaderOrganization = "Webhooks-Organization"

// APIKeyRequest asks for an API key.
type APIKeyRequest struct {
	Name string `json:"name"`
	// Rights must not exceed those of the request. The zero Role is read.
	webhook.Rights
	// ExpiresAt is when the API key stops working. Zero is never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// APIKeyResponse holds a new API key. Nothing shows it again.
type APIKeyResponse struct {
	Key string `json:"api_key"`
	webhook.APIKey
}

// APIKeyPage is one page of a list of API keys, the oldest first.
type APIKeyPage struct {
	Results []webhook.APIKey `json:"results"`
	// NextCursor asks for the next page. Null on the last page.
	NextCursor *string `json:"next_cursor"`
}

// apiKeyTime bounds the lookup of an API key.
const apiKeyTime = 5 * time.Second

// identify finds out who makes the request, and for which organization.
func (a *API) identify(r *request) error {
	err := ErrUnauthenticated
	if a.authenticate != nil {
		if r.organizationID, err = a.authenticate(r.Request); err == nil {
			if err := checkOrigin(r.Request); err != nil {
				return err
			}
			r.holder = apikey.Holder{Name: a.actor(r), OrganizationID: r.organizationID,
				Rights: webhook.Rights{Role: webhook.RoleAdminister, Reveal: true}}
			return r.checkNamed(r.organizationID)
		}
	}
	if a.cfg.APIKeys == nil || !errors.Is(err, ErrUnauthenticated) {
		return err
	}
	token, err := BearerToken(r.Request)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), apiKeyTime)
	defer cancel()
	key, err := a.cfg.APIKeys.Authenticate(ctx, token)
	if err != nil {
		return refusedKey(err)
	}
	r.organizationID = key.OrganizationID
	if named := r.Header.Get(HeaderOrganization); named != "" && named != key.OrganizationID {
		if !key.Operator {
			return r.checkNamed(key.OrganizationID)
		}
		r.organizationID = named
	}
	r.holder = apikey.Holder{Name: key.ID + " " + key.Name, Rights: key.Rights,
		OrganizationID: key.OrganizationID, ExpiresAt: key.ExpiresAt}
	return nil
}

// checkOrigin returns an error if a page of another origin has its visitor's browser make the request.
// Without an Authorization header, what the browser sends on its own has opened the API, such as a
// cookie.
func checkOrigin(r *http.Request) error {
	if r.Header.Get("Authorization") != "" ||
		http.NewCrossOriginProtection().Check(r) == nil {
		return nil
	}
	return &statusError{status: http.StatusForbidden, cause: ErrForbidden,
		message: "A request that changes something must not come from a page of another origin, " +
			"unless it has the header Authorization"}
}

// checkNamed returns an error if the request names another organization than the one that its API
// key acts for: it would be told of, and change, what it did not mean.
func (r *request) checkNamed(organizationID string) error {
	if named := r.Header.Get(HeaderOrganization); named == "" || named == organizationID {
		return nil
	}
	return &statusError{status: http.StatusForbidden, cause: ErrForbidden,
		message: "The API key acts for its own organization only: another one needs that of an operator"}
}

// refusedKey returns the answer to a request whose API key does not work.
func refusedKey(err error) error {
	var message string
	switch {
	case errors.Is(err, apikey.ErrMalformed):
		message = "This is not a whole API key, or it has a typo"
	case errors.Is(err, apikey.ErrRevoked):
		message = "The API key was revoked"
	case errors.Is(err, apikey.ErrExpired):
		message = "The API key has expired"
	case errors.Is(err, apikey.ErrUnknown):
		return ErrUnauthenticated
	default:
		return err
	}
	return &statusError{status: http.StatusUnauthorized, message: message, cause: ErrUnauthenticated}
}

// allow returns an error unless the request has at least the role.
func (r *request) allow(need webhook.Role) error {
	if r.holder.Role >= need {
		return nil
	}
	return &statusError{status: http.StatusForbidden, cause: ErrForbidden,
		message: fmt.Sprintf("This needs the role %s, and the API key has the role %s", need,
			r.holder.Role)}
}

// orDenied adds the reason to an error that says that the rights do not suffice.
func orDenied(err error) error {
	if !errors.Is(err, apikey.ErrRights) {
		return err
	}
	return &statusError{status: http.StatusForbidden, cause: err,
		message: strings.TrimPrefix(err.Error(), "apikey: ")}
}

func (a *API) createAPIKey(r *request) (*response, error) {
	p := &problems{}
	o := readObject(p, r.body, nil)
	if o == nil {
		return nil, p
	}
	asked := webhook.APIKey{OrganizationID: r.organizationID, Name: o.text("name"),
		ExpiresAt: o.time("expires_at")}
	if role := o.text("role"); role != "" && asked.Role.UnmarshalText([]byte(role)) != nil {
		p.add(o.at("role"), "enum", "must be read, operate or administer")
	}
	if b := o.boolean("reveal"); b != nil {
		asked.Reveal = *b
	}
	if b := o.boolean("operator"); b != nil {
		asked.Operator = *b
	}
	o.end()
	if err := p.err(); err != nil {
		return nil, err
	}
	key, created, err := a.cfg.APIKeys.Create(r.Context(), r.holder, asked)
	if err != nil {
		return nil, orDenied(err)
	}
	return &response{status: http.StatusCreated, body: APIKeyResponse{key, created}}, nil
}

func (a *API) listAPIKeys(r *request) (*response, error) {
	p := &problems{}
	q := newQuery(p, r)
	query := webhook.APIKeyQuery{OrganizationID: r.organizationID,
		Limit: q.integer("limit", 1, maxPage, defaultPage)}
	if cursor := q.text("cursor"); cursor != "" {
		digits, id, ok := strings.Cut(cursor, "-")
		micros, err := strconv.ParseInt(digits, 10, 64)
		if !ok || err != nil {
			p.add(at("cursor"), typeValue, "must be the next_cursor of an earlier answer")
		}
		query.After = webhook.APIKeyCursor{CreatedAt: time.UnixMicro(micros).UTC(), ID: id}
	}
	q.end()
	if err := p.err(); err != nil {
		return nil, err
	}
	limit := query.Limit
	query.Limit++ // to know whether there are more
	keys, err := a.cfg.APIKeys.List(r.Context(), query)
	if err != nil {
		return nil, err
	}
	page := APIKeyPage{Results: keys}
	if len(keys) > limit {
		page.Results = keys[:limit]
		last := keys[limit-1].Cursor()
		cursor := strconv.FormatInt(last.CreatedAt.UnixMicro(), 10) + "-" + last.ID
		page.NextCursor = &cursor
	}
	if page.Results == nil {
		page.Results = []webhook.APIKey{}
	}
	return &response{status: http.StatusOK, body: page}, nil
}

// revokeAPIKey answers with 404 if there is no such API key, unlike other deletions: a typo must not
// look as though the key was revoked.
func (a *API) revokeAPIKey(r *request) (*response, error) {
	id := r.PathValue("api_key_id")
	revoked, err := a.cfg.APIKeys.Revoke(r.Context(), r.holder, r.organizationID, id)
	if err != nil {
		return nil, orDenied(orNotFound(err, "API key", id))
	}
	return &response{status: http.StatusOK, body: revoked}, nil
}
