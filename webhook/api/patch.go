package api

import (
	"encoding/json"
	"net/http"

	"github.com/mixpeek/webhooks-go/webhook"
)

// patchWebhook changes the fields of a webhook that the body has, by RFC 7396
// (JSON Merge Patch): what is absent stays, null removes. Lists are replaced as
// a whole, and channels as an update replaces them, with what masks and absent
// fields mean there.
func (a *API) patchWebhook(r *request) (*response, error) {
	w, err := a.change(r, func(stored *webhook.Webhook) (*webhook.Webhook, error) {
		p := &problems{}
		patch := readObject(p, r.body, webhookLists())
		if patch == nil {
			return nil, p
		}
		merged, err := a.merge(patch, stored)
		if err != nil {
			return nil, err
		}
		w := a.readWebhook(p, merged)
		if w == nil {
			return nil, p
		}
		checkUpdatedID(p, r, w)
		if _, changed := patch.members["channels"]; !changed {
			w.Channels = stored.Clone().Channels
			w.ID, w.OrganizationID = stored.ID, stored.OrganizationID
			if err := p.err(); err != nil {
				return nil, err
			}
			return w, nil
		}
		return a.updated(p, w, stored)
	})
	if err != nil {
		return nil, err
	}
	return a.webhookResponse(http.StatusOK, w, nil)
}

// merge returns the webhook as it is answered with the members of the patch in
// place of its own.
func (a *API) merge(patch *object, stored *webhook.Webhook) ([]byte, error) {
	shown := *stored
	if _, changed := patch.members["channels"]; !changed {
		shown.Channels = nil
	}
	raw, err := json.Marshal(shown)
	if err != nil {
		return nil, err
	}
	var merged map[string]json.RawMessage
	if err := json.Unmarshal(raw, &merged); err != nil {
		return nil, err
	}
	for name, value := range patch.members {
		if string(value) == "null" {
			delete(merged, name)
		} else {
			merged[name] = value
		}
	}
	return json.Marshal(merged)
}
