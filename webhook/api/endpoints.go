package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"unicode"

	"github.com/mixpeek/webhooks-go/webhook"
)

// EndpointPage is one page of a list of endpoints.
type EndpointPage struct {
	Results []webhook.EndpointState `json:"results"`
	// NextCursor asks for the next page. Null on the last page.
	NextCursor *string `json:"next_cursor"`
}

// EndpointRequest enables or disables an endpoint.
type EndpointRequest struct {
	// Channel is the key of the channel (see TestRequest). It may be empty if the webhook has only
	// one.
	Channel string `json:"channel,omitempty"`
}

// listEndpoints lists the endpoints of all webhooks that are not healthy.
func (a *API) listEndpoints(r *request) (*response, error) {
	p := &problems{}
	q := newQuery(p, r)
	filter := webhook.EndpointQuery{
		OrganizationID: r.organizationID,
		Health:         webhook.Health(q.text("health")),
		Limit:          q.integer("limit", 1, maxDeliveries, min(defaultPage, maxDeliveries)),
	}
	switch filter.Health {
	case "", webhook.Degraded, webhook.Disabled:
	default:
		p.add(at("health"), "enum", "must be degraded or disabled")
	}
	if cursor := q.text("cursor"); cursor != "" {
		var ok bool
		filter.After.SubscriptionID, filter.After.Channel, ok = strings.Cut(cursor, "/")
		if !ok {
			p.add(at("cursor"), typeValue, "must be the next_cursor of an earlier answer")
		}
	}
	q.end()
	if err := p.err(); err != nil {
		return nil, err
	}
	limit := filter.Limit
	filter.Limit++ // to know whether there are more
	states, err := a.dispatcher.EndpointStates(r.Context(), filter)
	if err != nil {
		return nil, err
	}
	page := EndpointPage{Results: states[:min(limit, len(states))]}
	if len(states) > limit {
		last := states[limit-1].Endpoint
		cursor := last.SubscriptionID + "/" + last.Channel
		page.NextCursor = &cursor
	}
	if page.Results == nil {
		page.Results = []webhook.EndpointState{}
	}
	return &response{status: http.StatusOK, body: page}, nil
}

// listSubscriptionEndpoints lists all endpoints of one webhook, healthy ones too, in the order of
// its channels. They are webhook.MaxChannels at most, which is one page.
func (a *API) listSubscriptionEndpoints(r *request) (*response, error) {
	id := r.PathValue("identifier")
	sub, err := a.dispatcher.Subscription(r.Context(), r.organizationID, id)
	if err != nil {
		return nil, orNotFound(err, "webhook", id)
	}
	states, err := a.dispatcher.EndpointStates(r.Context(), webhook.EndpointQuery{
		OrganizationID: r.organizationID, SubscriptionID: id, Limit: webhook.MaxChannels,
	})
	if err != nil {
		return nil, err
	}
	unhealthy := make(map[string]webhook.EndpointState, len(states))
	for _, s := range states {
		unhealthy[s.Channel] = s
	}
	page := EndpointPage{Results: make([]webhook.EndpointState, 0, len(sub.Channels))}
	for _, key := range sub.ChannelKeys() {
		s, ok := unhealthy[key]
		if !ok {
			s, err = a.dispatcher.EndpointState(r.Context(), r.organizationID,
				webhook.Endpoint{SubscriptionID: id, Channel: key})
			if errors.Is(err, webhook.ErrNotFound) {
				continue // the channel has been removed meanwhile
			}
			if err != nil {
				return nil, err
			}
		}
		page.Results = append(page.Results, s)
	}
	return &response{status: http.StatusOK, body: page}, nil
}

// Refusals says which event types the endpoints of a webhook refuse, as far as its latest deliveries
// tell: see [dispatch.Dispatcher.Refusals].
type Refusals struct {
	SubscriptionID string `json:"webhook_id"`
	// LookedAt is how many deliveries that were attempted within the last 24 hours were looked at.
	LookedAt int `json:"looked_at"`
	// Results are the event types, those with the most refused deliveries first.
	Results []Refusal `json:"results"`
}

// Refusal says that an endpoint has refused events of a type.
type Refusal struct {
	Channel   string `json:"channel"`
	EventType string `json:"event_type"`
	// Refused counts the deliveries of which the last attempt was refused, and Attempted all of the type
	// that were looked at.
	Refused   int `json:"refused"`
	Attempted int `json:"attempted"`
	// DeliveryID is the one that was refused last, and LastAttempt its last attempt.
	DeliveryID  webhook.DeliveryID `json:"delivery_id"`
	LastAttempt webhook.Attempt    `json:"last_attempt"`
}

func (a *API) getRefusals(r *request) (*response, error) {
	id := r.PathValue("identifier")
	found, err := a.dispatcher.Refusals(r.Context(), r.organizationID, id)
	if err != nil {
		return nil, orNotFound(err, "webhook", id)
	}
	body := Refusals{SubscriptionID: id, LookedAt: found.LookedAt,
		Results: make([]Refusal, len(found.Types))}
	for i := range found.Types {
		t := &found.Types[i]
		body.Results[i] = Refusal{Channel: t.Channel, EventType: t.EventType, Refused: t.Refused,
			Attempted: t.Attempted, DeliveryID: t.DeliveryID, LastAttempt: t.Attempt}
	}
	return &response{status: http.StatusOK, body: body}, nil
}

func (a *API) enableEndpoint(r *request) (*response, error) {
	return a.changeEndpoint(r, "enable", a.dispatcher.EnableEndpoint)
}

func (a *API) disableEndpoint(r *request) (*response, error) {
	return a.changeEndpoint(r, "disable", a.dispatcher.DisableEndpoint)
}

// changeEndpoint calls a method of the Dispatcher for the endpoint that the request names.
func (a *API) changeEndpoint(
	r *request, action string, set func(context.Context, string, webhook.Endpoint, string) error,
) (*response, error) {
	p := &problems{}
	name := ""
	if o := optionalObject(p, r.body); o != nil {
		name = o.text("channel")
		o.end()
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	id := r.PathValue("identifier")
	sub, err := a.dispatcher.Subscription(r.Context(), r.organizationID, id)
	if err != nil {
		return nil, orNotFound(err, "webhook", id)
	}
	e := webhook.Endpoint{SubscriptionID: id}
	if e.Channel, err = channelKey(sub, name); err != nil {
		return nil, err
	}
	if err := set(r.Context(), r.organizationID, e, cut(r.holder.Name)); err != nil {
		return nil, orNotFound(err, "webhook", id)
	}
	a.logChange(r, id, &change{action: action, channel: e.Channel})
	state, err := a.dispatcher.EndpointState(r.Context(), r.organizationID, e)
	if err != nil {
		return nil, orNotFound(err, "webhook", id)
	}
	return &response{status: http.StatusOK, body: state}, nil
}

// channelKey returns the key, or that of the only channel if it is empty.
func channelKey(sub *webhook.Subscription, key string) (string, error) {
	keys := sub.ChannelKeys()
	if key == "" && len(keys) == 1 {
		return keys[0], nil
	}
	for _, k := range keys {
		if k == key {
			return key, nil
		}
	}
	p := &problems{}
	kind := typeValue
	if key == "" {
		kind = typeMissing
	}
	p.add([]any{"body", "channel"}, kind, "must be one of %s", strings.Join(keys, ", "))
	return "", p
}

// maxActor is how many bytes of an actor are kept.
const maxActor = 200

// actor names who makes the request, in a form that can be stored.
func (a *API) actor(r *request) string {
	by := ""
	if a.cfg.Actor != nil {
		by = strings.Map(func(c rune) rune {
			if unicode.IsControl(c) {
				return -1
			}
			return c
		}, strings.ToValidUTF8(a.cfg.Actor(r.Request), ""))
	}
	if by == "" {
		return "api"
	}
	return cut(by)
}

// cut returns as much of an actor as is kept.
func cut(by string) string {
	if len(by) > maxActor {
		by = strings.ToValidUTF8(by[:maxActor], "")
	}
	return by
}
