package console

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
)

// apiKeyRow is an API key of the list.
type apiKeyRow struct {
	webhook.APIKey
	// State is active, expired or revoked.
	State string
}

func newAPIKeyRow(key webhook.APIKey) apiKeyRow {
	row := apiKeyRow{key, "active"}
	switch {
	case key.Works(time.Now()):
	case !key.RevokedAt.IsZero():
		row.State = "revoked"
	default:
		row.State = "expired"
	}
	return row
}

func (c *Console) listAPIKeys(q *request) error {
	query := webhook.APIKeyQuery{OrganizationID: q.organizationID, Limit: rowsAtMost + 1}
	after := q.URL.Query().Get("after")
	at, id, err := parseCursor(after)
	if err != nil {
		return err
	}
	query.After = webhook.APIKeyCursor{CreatedAt: at, ID: id}
	found, err := c.cfg.APIKeys.List(q.Context(), query)
	if err != nil {
		return err
	}
	body := struct {
		Rows  []apiKeyRow
		Next  string
		First bool
	}{First: after == ""}
	if len(found) > rowsAtMost {
		found = found[:rowsAtMost]
		last := found[rowsAtMost-1].Cursor()
		body.Next = formatCursor(last.CreatedAt, last.ID)
	}
	for _, key := range found {
		body.Rows = append(body.Rows, newAPIKeyRow(key))
	}
	return q.show("apikeys", page{Title: "API keys", Section: "apikeys"}, &body)
}

// apiKeyForm is the form of a new API key.
type apiKeyForm struct {
	Name, Role, ExpiresAt string
	Reveal, Operator      bool
	// Roles are those that the identity may give.
	Roles    []webhook.Role
	Problems map[string]string
	// General is what is wrong with no field in particular.
	General string
}

// Problem returns what is wrong with a field.
func (f *apiKeyForm) Problem(field string) string { return f.Problems[field] }

// Wrong reports whether anything is.
func (f *apiKeyForm) Wrong() bool { return len(f.Problems) > 0 || f.General != "" }

func (c *Console) newAPIKey(q *request) error {
	return q.apiKeyPage(http.StatusOK, &apiKeyForm{Role: webhook.RoleRead.String()})
}

func (q *request) apiKeyPage(status int, form *apiKeyForm) error {
	for role := webhook.RoleRead; role <= q.identity.Role && role.Valid(); role++ {
		form.Roles = append(form.Roles, role)
	}
	q.render(status, "newapikey", page{Title: "New API key", Section: "apikeys"}, form)
	return nil
}

// holder is the identity as one that creates and revokes API keys of the organization.
func (q *request) holder() apikey.Holder {
	return apikey.Holder{Name: q.name(), OrganizationID: q.organizationID, Rights: webhook.Rights{
		Role: q.identity.Role, Reveal: q.identity.Reveal, Operator: q.identity.Operator}}
}

// createAPIKey shows the API key in its answer, because nothing can show it later.
func (c *Console) createAPIKey(q *request) error {
	form := &apiKeyForm{Name: strings.TrimSpace(q.PostForm.Get("name")), Role: q.PostForm.Get("role"),
		ExpiresAt: q.PostForm.Get("expires_at"), Reveal: q.PostForm.Get("reveal") != "",
		Operator: q.PostForm.Get("operator") != "", Problems: map[string]string{}}
	asked := webhook.APIKey{OrganizationID: q.organizationID, Name: form.Name,
		Rights: webhook.Rights{Reveal: form.Reveal, Operator: form.Operator}}
	if asked.Role.UnmarshalText([]byte(form.Role)) != nil {
		form.Problems["role"] = "must be read, operate or administer"
	}
	if form.ExpiresAt != "" {
		var err error
		if asked.ExpiresAt, err = parseTime(form.ExpiresAt); err != nil {
			form.Problems["expires_at"] = err.Error()
		}
	}
	if form.Wrong() {
		return q.apiKeyPage(http.StatusUnprocessableEntity, form)
	}
	token, created, err := c.cfg.APIKeys.Create(q.Context(), q.holder(), asked)
	err = q.audit(Change{Action: "create_api_key", APIKeyID: created.ID}, err)
	var invalid *event.ValidationError
	var limit *webhook.LimitError
	switch {
	case err == nil:
		return q.show("createdapikey", page{Title: "The API key is created", Section: "apikeys"},
			&struct {
				Token string
				Key   apiKeyRow
			}{token, newAPIKeyRow(created)})
	case errors.As(err, &invalid):
		for _, p := range invalid.Problems {
			switch p.Field {
			case "name", "role", "expires_at":
				form.Problems[p.Field] = p.Rule
			default:
				form.General = p.Field + " " + p.Rule
			}
		}
	case errors.As(err, &limit):
		form.General = "The organization has " + number(limit.Max) +
			" API keys that work, and may have no more. Revoke one first."
	default:
		return err
	}
	return q.apiKeyPage(http.StatusUnprocessableEntity, form)
}

// apiKey returns the API key that the path names. The organization has no more of them than the
// Config of the Keys allows, so that all of them may be read for it.
func (c *Console) apiKey(q *request) (webhook.APIKey, error) {
	query := webhook.APIKeyQuery{OrganizationID: q.organizationID}
	for {
		found, err := c.cfg.APIKeys.List(q.Context(), query)
		if err != nil {
			return webhook.APIKey{}, err
		}
		for _, key := range found {
			if key.ID == q.PathValue("id") {
				return key, nil
			}
		}
		if len(found) < query.PageSize() {
			return webhook.APIKey{}, webhook.ErrNotFound
		}
		query.After = found[len(found)-1].Cursor()
	}
}

func (c *Console) confirmRevocation(q *request) error {
	key, err := c.apiKey(q)
	if err != nil {
		return err
	}
	row := newAPIKeyRow(key)
	return q.show("revokeapikey", page{Title: "Revoke " + key.Name, Section: "apikeys"}, &row)
}

func (c *Console) revokeAPIKey(q *request) error {
	id := q.PathValue("id")
	_, err := c.cfg.APIKeys.Revoke(q.Context(), q.holder(), q.organizationID, id)
	if err := q.audit(Change{Action: "revoke_api_key", APIKeyID: id}, err); err != nil {
		return err
	}
	return q.redirect(q.link("/api-keys", "done", "revoked"))
}
