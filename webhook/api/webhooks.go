package api

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/idempotency"
)

func (a *API) createSubscription(r *request) (*response, error) {
	p := &problems{}
	sub := a.readSubscription(p, r.body)
	if sub == nil {
		return nil, p
	}
	sub.OrganizationID = r.organizationID
	key := idempotencyKey(p, r)
	a.fields.restore(p, sub, nil)
	if len(p.list) > 0 {
		p.mergeError(a.dispatcher.CheckSubscription(sub))
		return nil, p
	}
	id, err := a.idempotent(r, key, func(ctx context.Context, t idempotency.Try) ([]byte, error) {
		if sub.ID == "" && key != "" {
			sub.ID = idempotentID(r.organizationID, key, t.Began)
		}
		err := a.dispatcher.CreateSubscription(ctx, sub)
		if errors.Is(err, webhook.ErrExists) && t.Again {
			_, err = a.dispatcher.Subscription(ctx, sub.OrganizationID, sub.ID) // made by the earlier try
		}
		return []byte(sub.ID), err
	})
	if err != nil {
		return nil, err
	}
	if sub.Revision == 0 { // created by an earlier request or try
		if sub, err = a.dispatcher.Subscription(r.Context(), r.organizationID, string(id)); err != nil {
			return nil, err
		}
	}
	return a.subscriptionResponse(http.StatusCreated, sub, nil)
}

func (a *API) getSubscription(r *request) (*response, error) {
	p := &problems{}
	q := newQuery(p, r)
	if err := p.err(); err != nil {
		return nil, err
	}
	sub, err := a.subscription(r)
	if err != nil {
		return nil, err
	}
	return a.subscriptionResponse(http.StatusOK, sub, q.values["reveal"])
}

func (a *API) updateSubscription(r *request) (*response, error) {
	p := &problems{}
	updated := a.readSubscription(p, r.body)
	if updated == nil {
		return nil, p
	}
	checkUpdatedID(p, r, updated)
	sub, err := a.change(r, func(stored *webhook.Subscription) (*webhook.Subscription, error) {
		found := *p
		found.list = slices.Clone(p.list)
		return a.updated(&found, updated.Clone(), stored)
	})
	if err != nil {
		return nil, err
	}
	return a.subscriptionResponse(http.StatusOK, sub, nil)
}

// updated returns what an update makes of the stored webhook.
func (a *API) updated(p *problems, sub, stored *webhook.Subscription) (*webhook.Subscription, error) {
	sub.ID, sub.OrganizationID = stored.ID, stored.OrganizationID
	a.fields.restore(p, sub, stored)
	if len(p.list) > 0 {
		p.mergeError(a.dispatcher.CheckSubscription(sub))
		return nil, p
	}
	return sub, nil
}

func checkUpdatedID(p *problems, r *request, updated *webhook.Subscription) {
	if updated.ID != "" && updated.ID != r.PathValue("identifier") {
		p.add([]any{"body", "webhook_id"}, typeValue, "must be that of the path, or absent")
	}
}

// deleteSubscription is idempotent: what is gone already, or never was this
// organization's, is answered in the same way. With If-Match, only the version
// it names is deleted.
func (a *API) deleteSubscription(r *request) (*response, error) {
	id := r.PathValue("identifier")
	var err error
	if !hasIfMatch(r) {
		err = a.dispatcher.DeleteSubscription(r.Context(), r.organizationID, id, 0)
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
		stored, err := a.subscription(r)
		if err == nil {
			if err := checkIfMatch(r, stored); err != nil {
				return err
			}
			err = a.dispatcher.DeleteSubscription(r.Context(), r.organizationID, id, stored.Revision)
		}
		switch {
		case errors.Is(err, webhook.ErrConflict) && try < maxAttempts: // "*" still matches
		case errors.Is(err, webhook.ErrConflict), errors.Is(err, webhook.ErrNotFound):
			return errPrecondition
		default:
			return err
		}
	}
}

// webhook returns the webhook that the path names.
func (a *API) subscription(r *request) (*webhook.Subscription, error) {
	id := r.PathValue("identifier")
	sub, err := a.dispatcher.Subscription(r.Context(), r.organizationID, id)
	return sub, orNotFound(err, "webhook", id)
}

// maxAttempts is how often a change is tried when another request is faster.
const maxAttempts = 5

// change updates the webhook that the path names to what f makes of the stored
// one, and asks f again when another request was faster. With If-Match, only the
// version it names is changed.
func (a *API) change(r *request, f func(stored *webhook.Subscription) (*webhook.Subscription, error)) (*webhook.Subscription, error) {
	for try := 1; ; try++ {
		stored, err := a.subscription(r)
		if err != nil {
			return nil, err
		}
		if err := checkIfMatch(r, stored); err != nil {
			return nil, err
		}
		sub, err := f(stored)
		if err != nil {
			return nil, err
		}
		sub.Revision, sub.CreatedAt = stored.Revision, stored.CreatedAt
		err = a.dispatcher.UpdateSubscription(r.Context(), sub)
		switch {
		case errors.Is(err, webhook.ErrConflict) && try < maxAttempts:
			continue
		case err != nil:
			return nil, orNotFound(err, "webhook", sub.ID)
		}
		return sub, nil
	}
}

// subscriptionResponse is a webhook with its secrets masked, but for those that are
// asked for by name.
func (a *API) subscriptionResponse(status int, sub *webhook.Subscription, reveal []string) (*response, error) {
	masked, err := a.fields.answer(sub, reveal)
	if err != nil {
		return nil, err
	}
	res := &response{status: status, body: masked, header: map[string]string{"ETag": etag(sub)}}
	if status == http.StatusCreated {
		res.header["Location"] = a.cfg.Prefix + "/" + sub.ID
	}
	return res, nil
}
