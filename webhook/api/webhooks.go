package api

import (
	"errors"
	"net/http"
	"slices"

	"github.com/mixpeek/webhooks-go/webhook"
)

func (a *API) createWebhook(r *request) (*response, error) {
	p := &problems{}
	w := a.readWebhook(p, r.body)
	if w == nil {
		return nil, p
	}
	w.OrganizationID = r.organizationID
	key := idempotencyKey(p, r)
	a.fields.restore(p, w, nil)
	if len(p.list) > 0 {
		p.mergeError(a.dispatcher.CheckWebhook(w))
		return nil, p
	}
	if w.ID == "" && key != "" {
		w.ID = idempotentID(r.organizationID, key)
	}
	err := a.dispatcher.CreateWebhook(r.Context(), w)
	if errors.Is(err, webhook.ErrExists) && key != "" {
		return a.createdBefore(r, w)
	}
	if err != nil {
		return nil, err
	}
	return a.webhookResponse(http.StatusCreated, w, nil)
}

func (a *API) getWebhook(r *request) (*response, error) {
	p := &problems{}
	q := newQuery(p, r)
	if err := p.err(); err != nil {
		return nil, err
	}
	w, err := a.webhook(r)
	if err != nil {
		return nil, err
	}
	return a.webhookResponse(http.StatusOK, w, q.values["reveal"])
}

func (a *API) updateWebhook(r *request) (*response, error) {
	p := &problems{}
	updated := a.readWebhook(p, r.body)
	if updated == nil {
		return nil, p
	}
	checkUpdatedID(p, r, updated)
	w, err := a.change(r, func(stored *webhook.Webhook) (*webhook.Webhook, error) {
		found := *p
		found.list = slices.Clone(p.list)
		return a.updated(&found, updated.Clone(), stored)
	})
	if err != nil {
		return nil, err
	}
	return a.webhookResponse(http.StatusOK, w, nil)
}

// updated returns what an update makes of the stored webhook.
func (a *API) updated(p *problems, w, stored *webhook.Webhook) (*webhook.Webhook, error) {
	w.ID, w.OrganizationID = stored.ID, stored.OrganizationID
	a.fields.restore(p, w, stored)
	if len(p.list) > 0 {
		p.mergeError(a.dispatcher.CheckWebhook(w))
		return nil, p
	}
	return w, nil
}

func checkUpdatedID(p *problems, r *request, updated *webhook.Webhook) {
	if updated.ID != "" && updated.ID != r.PathValue("identifier") {
		p.add([]any{"body", "webhook_id"}, typeValue, "must be that of the path, or absent")
	}
}

// deleteWebhook is idempotent: what is gone already, or never was this
// organization's, is answered in the same way. With If-Match, only the version
// it names is deleted.
func (a *API) deleteWebhook(r *request) (*response, error) {
	id := r.PathValue("identifier")
	var err error
	if !hasIfMatch(r) {
		err = a.dispatcher.DeleteWebhookRevision(r.Context(), r.organizationID, id, 0)
		if errors.Is(err, webhook.ErrNotFound) {
			err = nil
		}
	} else {
		err = a.deleteVersion(r, id)
	}
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusNoContent}, nil
}

func (a *API) deleteVersion(r *request, id string) error {
	for try := 1; ; try++ {
		stored, err := a.webhook(r)
		if err == nil {
			if err := checkIfMatch(r, stored); err != nil {
				return err
			}
			err = a.dispatcher.DeleteWebhookRevision(r.Context(), r.organizationID, id, stored.Revision)
		}
		switch {
		case errors.Is(err, webhook.ErrConflict) && try < maxTries: // "*" still matches
		case errors.Is(err, webhook.ErrConflict), errors.Is(err, webhook.ErrNotFound):
			return errPrecondition
		default:
			return err
		}
	}
}

// webhook returns the webhook that the path names.
func (a *API) webhook(r *request) (*webhook.Webhook, error) {
	id := r.PathValue("identifier")
	w, err := a.dispatcher.Webhook(r.Context(), r.organizationID, id)
	return w, orNotFound(err, "webhook", id)
}

// maxTries is how often a change is tried when another request is faster.
const maxTries = 5

// change updates the webhook that the path names to what f makes of the stored
// one, and asks f again when another request was faster. With If-Match, only the
// version it names is changed.
func (a *API) change(r *request, f func(stored *webhook.Webhook) (*webhook.Webhook, error)) (*webhook.Webhook, error) {
	for try := 1; ; try++ {
		stored, err := a.webhook(r)
		if err != nil {
			return nil, err
		}
		if err := checkIfMatch(r, stored); err != nil {
			return nil, err
		}
		w, err := f(stored)
		if err != nil {
			return nil, err
		}
		w.Revision, w.CreatedAt = stored.Revision, stored.CreatedAt
		err = a.dispatcher.UpdateWebhook(r.Context(), w)
		switch {
		case errors.Is(err, webhook.ErrConflict) && try < maxTries:
			continue
		case err != nil:
			return nil, orNotFound(err, "webhook", w.ID)
		}
		return w, nil
	}
}

// webhookResponse is a webhook with its secrets masked, but for those that are
// asked for by name.
func (a *API) webhookResponse(status int, w *webhook.Webhook, reveal []string) (*response, error) {
	masked, err := a.fields.answer(w, reveal)
	if err != nil {
		return nil, err
	}
	res := &response{status: status, body: masked, header: map[string]string{"ETag": etag(w)}}
	if status == http.StatusCreated {
		res.header["Location"] = a.cfg.Prefix + "/" + w.ID
	}
	return res, nil
}
