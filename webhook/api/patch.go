package api

import (
	"encoding/json"
	"net/http"

	"github.com/mixpeek/webhooks-go/webhook"
)

// patchSubscription changes the fields of a webhook that the body has, by RFC 7396
// (JSON Merge Patch): what is absent stays, null removes. Lists are replaced as
// a whole, and channels as an update replaces them, with what masks and absent
// fields mean there.
func (a *API) patchSubscription(r *request) (*response, error) {
	sub, err := a.change(r, func(stored *webhook.Subscription) (*webhook.Subscription, error) {
		p := &problems{}
		patch := readObject(p, r.body, subscriptionLists())
		if patch == nil {
			return nil, p
		}
		merged, err := a.merge(patch, stored)
		if err != nil {
			return nil, err
		}
		sub := a.readSubscription(p, merged)
		if sub == nil {
			return nil, p
		}
		checkUpdatedID(p, r, sub)
		if _, changed := patch.members["channels"]; !changed {
			sub.Channels = stored.Clone().Channels
			sub.ID, sub.OrganizationID = stored.ID, stored.OrganizationID
			if err := p.err(); err != nil {
				return nil, err
			}
			return sub, nil
		}
		return a.updated(p, sub, stored)
	})
	if err != nil {
		return nil, err
	}
	return a.subscriptionResponse(http.StatusOK, sub, nil)
}

// merge returns the webhook as it is answered with the members of the patch in
// place of its own.
func (a *API) merge(patch *object, stored *webhook.Subscription) ([]byte, error) {
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
