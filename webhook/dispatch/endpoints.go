package dispatch

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// EndpointState returns the stored state of an endpoint of the organization, or ErrNotFound if the
// organization has no such subscription, or the subscription has no such channel.
func (d *Dispatcher) EndpointState(
	ctx context.Context, organizationID string, e webhook.Endpoint,
) (webhook.EndpointState, error) {
	if !storable(organizationID, e.SubscriptionID, e.Channel) {
		return webhook.EndpointState{}, webhook.ErrNotFound
	}
	return d.store.EndpointState(ctx, organizationID, e)
}

// EndpointStates returns the states that fit the query, of endpoints that are not healthy. For the
// next page, set q.After to the endpoint of the last one.
func (d *Dispatcher) EndpointStates(
	ctx context.Context, q webhook.EndpointQuery,
) ([]webhook.EndpointState, error) {
	if !storable(q.OrganizationID, q.SubscriptionID, string(q.Health), q.After.SubscriptionID,
		q.After.Channel) {
		return nil, nil
	}
	return d.store.EndpointStates(ctx, q)
}

// EnableEndpoint makes a degraded or disabled endpoint of the organization healthy, because a
// person has repaired it. The deliveries that wait for it go out, a few at a time at first, and the
// age that the retry policy allows counts from now. by names the person, in 1 to 200 bytes: it is
// kept in the state and given to [Hooks]. The state also keeps when the endpoint failed, as
// LastFailure: if it fails again, the log says so.
//
// EnableEndpoint does nothing to an endpoint that is healthy. It returns ErrNotFound if the
// organization has no such subscription, or the subscription has no such channel.
func (d *Dispatcher) EnableEndpoint(
	ctx context.Context, organizationID string, e webhook.Endpoint, by string,
) error {
	return d.setByPerson(ctx, organizationID, e, by, func(s *webhook.EndpointState) bool {
		if s.Health == webhook.Healthy {
			return false
		}
		*s = s.Recovered(d.now(), by)
		return true
	})
}

// DisableEndpoint disables an endpoint of the organization, until [Dispatcher.EnableEndpoint] is
// called for it. Its deliveries wait. The other channels of its subscription continue; to stop them
// too, pause the subscription. An attempt that is in flight still ends. For up to
// Config.PollInterval after the call, another process may still attempt deliveries that it has in
// memory, a probe among them. by is as for EnableEndpoint. DisableEndpoint does nothing to an
// endpoint that is disabled already.
func (d *Dispatcher) DisableEndpoint(
	ctx context.Context, organizationID string, e webhook.Endpoint, by string,
) error {
	return d.setByPerson(ctx, organizationID, e, by, func(s *webhook.EndpointState) bool {
		if s.Health == webhook.Disabled {
			return false
		}
		s.Health, s.Since, s.ChangedBy, s.NextProbe = webhook.Disabled, d.now(), by, time.Time{}
		return true
	})
}

// maxChangedBy is how many bytes the name of a person may have.
const maxChangedBy = 200

func (d *Dispatcher) setByPerson(
	ctx context.Context, organizationID string, e webhook.Endpoint, by string,
	change func(*webhook.EndpointState) bool,
) error {
	var p event.Problems
	if by == "" {
		p.Required("by")
	} else if len(by) > maxChangedBy || !utf8.ValidString(by) ||
		strings.ContainsFunc(by, unicode.IsControl) {
		p.Add("by", "must be valid UTF-8 without control characters, of at most %d bytes", maxChangedBy)
	}
	if err := p.Err(); err != nil {
		return err
	}
	if !storable(organizationID, e.SubscriptionID, e.Channel) {
		return webhook.ErrNotFound
	}
	d.clock.refresh(ctx)
	if err := d.updateState(ctx, organizationID, e, 0, "", change); err != nil {
		return err
	}
	d.queue.SignalClaim()
	return nil
}

// unhealthyEndpoint is an endpoint that is not healthy while its subscription is updated, with its
// configuration before.
type unhealthyEndpoint struct {
	state        webhook.EndpointState
	configBefore string
}

// unhealthyEndpoints returns the endpoints of a subscription that are not healthy.
func (d *Dispatcher) unhealthyEndpoints(
	ctx context.Context, organizationID, id string,
) (unhealthy []unhealthyEndpoint, err error) {
	states, err := d.store.EndpointStates(ctx, webhook.EndpointQuery{OrganizationID: organizationID,
		SubscriptionID: id, Limit: webhook.MaxChannels})
	if err != nil || len(states) == 0 {
		return nil, err
	}
	stored, err := d.store.Subscription(ctx, organizationID, id)
	if err != nil {
		return nil, err
	}
	configs := configsByChannelKey(stored)
	for _, s := range states {
		unhealthy = append(unhealthy, unhealthyEndpoint{s, configs[s.Channel]})
	}
	return unhealthy, nil
}

func configsByChannelKey(sub *webhook.Subscription) map[string]string {
	configs := make(map[string]string, len(sub.Channels))
	for i, key := range sub.ChannelKeys() {
		configs[key] = string(sub.Channels[i].Configs)
	}
	return configs
}

// probeRepaired has endpoints probed at once that fail, or were disabled because they did, and
// whose configuration the update has changed: a person may have repaired them, or another channel
// may have got their key.
func (d *Dispatcher) probeRepaired(
	ctx context.Context, unhealthy []unhealthyEndpoint, updated *webhook.Subscription,
) error {
	configs := configsByChannelKey(updated)
	for _, r := range unhealthy {
		config, ok := configs[r.state.Channel]
		if !ok || config == r.configBefore || r.state.ChangedBy != "" {
			continue // a person who disabled it decides
		}
		err := d.updateState(ctx, updated.OrganizationID, r.state.Endpoint, 0, "",
			func(s *webhook.EndpointState) bool {
				if s.Health == webhook.Healthy || s.ChangedBy != "" {
					return false // it has changed since
				}
				at := d.now()
				if s.Health == webhook.Disabled {
					s.Health, s.Since = webhook.Degraded, at
				}
				s.LastFailure = s.Recovered(at, "").LastFailure // that of the configuration before
				s.FailingSince, s.NextProbe, s.FailedProbes = at, at, 0
				return true
			})
		if err != nil && !errors.Is(err, webhook.ErrNotFound) && !errors.Is(err, webhook.ErrConflict) {
			return err
		}
		d.queue.SignalClaim() // the claim that the update asked for may have been too early
		d.cfg.Logger.InfoContext(ctx, "webhook: an endpoint that failed has a new configuration, "+
			"it is probed at once", "organization_id", updated.OrganizationID,
			"webhook_id", updated.ID, "channel", r.state.Channel)
	}
	return nil
}
