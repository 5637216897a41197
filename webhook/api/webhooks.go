package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/idempotency"
)

// clockSkew is how far the clock of a process, by which webhooks are created, may be behind that of
// the store, by which tries begin.
const clockSkew = time.Minute

func (a *API) createSubscription(r *request) (*response, error) {
	p := &problems{}
	sub := a.readSubscription(p, r.body)
	if sub == nil {
		return nil, p
	}
	sub.OrganizationID = r.organizationID
	key := idempotencyKey(p, r)
	a.restore(p, sub, nil)
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
			// The earlier try has created it, unless it was there before.
			stored, findErr := a.dispatcher.Subscription(ctx, sub.OrganizationID, sub.ID)
			if findErr != nil || !stored.CreatedAt.Before(t.Began.Add(-clockSkew)) {
				err = findErr
			}
		}
		if err == nil {
			a.logChange(r, sub.ID, &change{action: "create"})
		}
		return []byte(sub.ID), err
	})
	if err != nil {
		return nil, err
	}
	if sub.Revision == 0 { // an earlier request or try has created it
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
	if len(q.values["reveal"]) > 0 && !r.holder.Reveal {
		return nil, &statusError{status: http.StatusForbidden, cause: ErrForbidden,
			message: "The API key may not reveal secrets"}
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
	setsRetry, setsLimit := hasMember(r.body, "retry"), hasMember(r.body, "rate_limit")
	setsOrdering := hasMember(r.body, "ordering")
	done := &change{action: actionUpdate}
	sub, err := a.change(r, done, func(stored *webhook.Subscription) (*webhook.Subscription, error) {
		found := *p
		found.list = slices.Clone(p.list)
		sub := updated.Clone()
		if !setsRetry { // as clients do that know the contract's fields only
			sub.Retry = stored.Retry.Clone()
		}
		if !setsLimit {
			sub.RateLimit = stored.RateLimit.Clone()
		}
		if !setsOrdering {
			sub.Ordering = stored.Ordering.Clone()
		}
		return a.updated(&found, sub, stored)
	})
	if err != nil {
		return nil, err
	}
	return a.subscriptionResponse(http.StatusOK, sub, nil)
}

// updated returns the webhook that an update makes of the stored one.
func (a *API) updated(
	p *problems, sub, stored *webhook.Subscription,
) (*webhook.Subscription, error) {
	sub.ID, sub.OrganizationID = stored.ID, stored.OrganizationID
	a.restore(p, sub, stored)
	if len(p.list) > 0 {
		p.mergeError(a.dispatcher.CheckSubscription(sub))
		return nil, p
	}
	return sub, nil
}

func checkUpdatedID(p *problems, r *request, updated *webhook.Subscription) {
	if updated.ID != "" && updated.ID != r.PathValue("identifier") {
		p.add([]any{"body", "webhook_id"}, typeValue, "must be the id in the path, or absent")
	}
}

// deleteSubscription succeeds too if the organization has no such webhook, or no longer has it.
// With If-Match, it deletes only the version that the header names.
func (a *API) deleteSubscription(r *request) (*response, error) {
	id := r.PathValue("identifier")
	var err error
	if !hasIfMatch(r) {
		err = a.dispatcher.DeleteSubscription(r.Context(), r.organizationID, id, 0)
	} else {
		err = a.deleteVersion(r, id)
	}
	switch {
	case err == nil:
		a.logChange(r, id, &change{action: "delete"})
	case !errors.Is(err, webhook.ErrNotFound): // deleteVersion returns none
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

// subscription returns the webhook that the path names.
func (a *API) subscription(r *request) (*webhook.Subscription, error) {
	id := r.PathValue("identifier")
	sub, err := a.dispatcher.Subscription(r.Context(), r.organizationID, id)
	return sub, orNotFound(err, "webhook", id)
}

// maxAttempts is how often a change is tried while other requests change the webhook too.
const maxAttempts = 5

// change updates the webhook that the path names to what f makes of the stored one. If another
// request has changed it in the meantime, it calls f again. With If-Match, it changes only the
// version that the header names. It logs the change as done, which f may complete.
func (a *API) change(
	r *request, done *change, f func(stored *webhook.Subscription) (*webhook.Subscription, error),
) (*webhook.Subscription, error) {
	for try := 1; ; try++ {
		stored, err := a.subscription(r)
		if err != nil {
			return nil, err
		}
		if err := checkIfMatch(r, stored); err != nil {
			return nil, err
		}
		before := stored.Clone() // f may change the stored one
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
		done.compare(before, sub)
		a.logChange(r, sub.ID, done)
		return sub, nil
	}
}

// subscriptionResponse answers with a webhook. Its secrets are masked, except those that reveal
// names.
func (a *API) subscriptionResponse(
	status int, sub *webhook.Subscription, reveal []string,
) (*response, error) {
	masked, err := a.masked(sub, reveal)
	if err != nil {
		return nil, err
	}
	res := &response{status: status, body: masked, header: map[string]string{"ETag": etag(sub)}}
	if status == http.StatusCreated {
		res.header["Location"] = a.cfg.Prefix + "/" + sub.ID
	}
	return res, nil
}

// readSubscription reads the contract's webhook object. It checks and ignores the fields that the
// server sets, because clients send back what they have read: internal_id, created_at,
// updated_at. It ignores description too, which the contract's examples have and its schema does
// not. If the body is not an object it adds a problem and returns nil.
func (a *API) readSubscription(p *problems, body []byte) *webhook.Subscription {
	o := readObject(p, body, subscriptionLists())
	if o == nil {
		return nil
	}
	sub := &webhook.Subscription{}
	sub.ID = o.text("webhook_id")
	sub.Name = o.text("webhook_name")
	for i, raw := range o.list("event_types") {
		var pattern *event.Pattern
		if err := json.Unmarshal(raw, &pattern); err != nil || pattern == nil {
			p.add(append(o.at("event_types"), i), "string_type", "must be of type string")
			pattern = new(event.Pattern)
		}
		sub.EventTypes = append(sub.EventTypes, *pattern)
	}
	for i, raw := range o.list("channels") {
		sub.Channels = append(sub.Channels, a.readChannel(p, append(o.at("channels"), i), raw))
	}
	if active := o.boolean("is_active"); active != nil {
		sub.Paused = !*active
	}
	sub.Retry, sub.RateLimit, sub.Ordering = readRetry(p, o), readRateLimit(p, o), readOrdering(p, o)
	o.text("internal_id")
	o.text("description")
	o.time("created_at")
	o.time("updated_at")
	o.end()
	return sub
}

// subscriptionLists returns the bounds of a webhook's lists.
func subscriptionLists() map[string]int {
	return map[string]int{"channels": webhook.MaxChannels, "event_types": webhook.MaxEventTypes}
}

// readRetry reads the retry policy of a webhook, nil if it has none.
func readRetry(p *problems, o *object) *webhook.Retry {
	raw := o.get("retry")
	if raw == nil {
		return nil
	}
	policy := p.object(o.at("retry"), raw)
	if policy == nil {
		return nil
	}
	var n int64
	for i, delay := range policy.list("delays_seconds") {
		if string(delay) == "null" || json.Unmarshal(delay, &n) != nil {
			p.add(append(policy.at("delays_seconds"), i), "integer_type", "must be of type integer")
		}
	}
	policy.read("max_attempts", "integer", &n)
	policy.read("max_age_seconds", "integer", &n)
	policy.end()
	retry := new(webhook.Retry)
	if json.Unmarshal(raw, retry) != nil {
		return nil // the problems say why
	}
	return retry
}

// readRateLimit reads the rate limit of a webhook, nil if it has none.
func readRateLimit(p *problems, o *object) *webhook.RateLimit {
	raw := o.get("rate_limit")
	if raw == nil {
		return nil
	}
	members := p.object(o.at("rate_limit"), raw)
	if members == nil {
		return nil
	}
	limit := new(webhook.RateLimit)
	members.read("per_second", "number", &limit.PerSecond)
	members.read("burst", "integer", &limit.Burst)
	members.end()
	return limit
}

// readOrdering reads the ordering of a webhook, nil if it has none.
func readOrdering(p *problems, o *object) *webhook.Ordering {
	raw := o.get("ordering")
	if raw == nil {
		return nil
	}
	members := p.object(o.at("ordering"), raw)
	if members == nil {
		return nil
	}
	var n int64
	members.read("skip_after_seconds", "integer", &n)
	members.end()
	ordering := new(webhook.Ordering)
	if json.Unmarshal(raw, ordering) != nil {
		return nil // the problems say why
	}
	return ordering
}

// hasMember reports whether the body, an object, has the member, null or not.
func hasMember(body []byte, name string) bool {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(body, &members)
	_, has := members[name]
	return has
}

func (a *API) readChannel(
	p *problems, location []any, raw json.RawMessage,
) (c webhook.ChannelConfig) {
	o := p.object(location, raw)
	if o == nil {
		return c
	}
	c.Channel = o.text("channel")
	c.Configs = o.get("configs")
	for _, name := range a.fields.Unknown(c) {
		p.add(append(o.at("configs"), name), typeExtra, "is not known here")
	}
	o.text("description")
	o.end()
	return c
}

// patchSubscription changes the fields of a webhook that the body has, by RFC 7396 (JSON Merge
// Patch): absent fields stay, and null removes. Lists are replaced as a whole. Masks and absent
// fields in channels mean what they mean in an update.
func (a *API) patchSubscription(r *request) (*response, error) {
	done := &change{action: actionUpdate}
	sub, err := a.change(r, done, func(stored *webhook.Subscription) (*webhook.Subscription, error) {
		p := &problems{}
		patch := readObject(p, r.body, subscriptionLists())
		if patch == nil {
			return nil, p
		}
		for name := range patch.members {
			if name == "is_active" {
				continue
			}
			if err := r.allow(webhook.RoleAdminister); err != nil {
				return nil, err
			}
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

// merge returns the stored webhook, in the form of an answer, with the members of the patch.
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

// errPrecondition says that the webhook is not at the version that If-Match names.
var errPrecondition = &statusError{
	status:  http.StatusPreconditionFailed,
	message: "The webhook is not at the version that If-Match names: read it again, and decide again",
}

// etag names a version of a webhook. No revision occurs twice, even if the webhook is deleted and
// created again with the same id: see [webhook.SubscriptionStore].
func etag(sub *webhook.Subscription) string { return fmt.Sprintf(`"%d"`, sub.Revision) }

func hasIfMatch(r *request) bool { return len(r.Header.Values("If-Match")) > 0 }

// checkIfMatch compares If-Match with the stored webhook by RFC 9110, section 13.1.1: a list of
// strong tags, or "*".
func checkIfMatch(r *request, stored *webhook.Subscription) error {
	if !hasIfMatch(r) {
		return nil
	}
	current := etag(stored)
	for tag := range strings.SplitSeq(strings.Join(r.Header.Values("If-Match"), ","), ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || tag == current {
			return nil
		}
	}
	return errPrecondition
}
