package sqlstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/mixpeek/webhooks-go/webhook"
)

// The state of an endpoint is in its row. An endpoint that is not healthy is also marked in the row
// of its subscription's route, so that Enqueue, which has the routes in memory, hands out none of
// its deliveries. Claim reads the row of the endpoint in any case.

type endpointStatements struct {
	find, get, set, route, hold string
	everywhere                  string
	all, ofSubscription         string
	probed, probing, ahead      string
}

func newEndpointStatements(x expander) endpointStatements {
	const columns = `organization_id, webhook_id, channel, health, health_since, health_revision, probe_at,
		health_details`
	const one = ` FROM {p}endpoints WHERE organization_id = ? AND webhook_id = ? AND channel = ?
		AND state < 2`
	const page = ` ORDER BY webhook_id, channel LIMIT ?`
	// The first condition is that of the index.
	const unhealthy = ` FROM {p}endpoints WHERE health > 0 AND health >= ? AND health <= ?`
	const filter = unhealthy + ` AND organization_id = ?`
	return endpointStatements{
		find: x.sql(`SELECT id, health, health_revision` + one),
		get:  x.sql(`SELECT ` + columns + one),
		set: x.sql(`UPDATE {p}endpoints SET state = ?, health = ?, health_since = ?,
			health_revision = health_revision + 1, probe_at = ?, health_details = ?, ` + wakes + `
			WHERE id = ? AND health_revision = ? AND state < 2`),
		route: x.sql(`SELECT revision, paused, endpoints FROM {p}routes
			WHERE organization_id = ? AND webhook_id = ? AND deleted = 0`),
		hold: x.sql(`UPDATE {p}routes SET version = ?, endpoints = ?
			WHERE organization_id = ? AND webhook_id = ?`),
		everywhere: x.sql(`SELECT ` + columns + unhealthy +
			` AND (organization_id, webhook_id, channel) > (?, ?, ?)
			ORDER BY organization_id, webhook_id, channel LIMIT ?`),
		all: x.sql(`SELECT ` + columns + filter + ` AND (webhook_id, channel) > (?, ?)` + page),
		ofSubscription: x.sql(`SELECT ` + columns + filter +
			` AND webhook_id = ? AND (webhook_id, channel) > (?, ?)` + page),
		probed: x.sql(`SELECT id, health_since, health_revision, health_details FROM {p}endpoints d
			WHERE id {in} AND state = 0 AND health = 1 AND probe_at <= ? {skiplocked}`),
		ahead: x.sql(`SELECT id FROM {p}endpoints WHERE health > 0 AND probe_at > ? LIMIT ?`),
		probing: x.sql(`UPDATE {p}endpoints SET probe_at = ?, health_revision = health_revision + 1,
			` + wakes + ` WHERE id {in} AND health = 1`),
	}
}

// healths has the stored form of each health.
var healths = map[webhook.Health]int{
	webhook.Healthy:  healthy,
	webhook.Degraded: degraded,
	webhook.Disabled: disabled,
}

const (
	healthy  = 0
	degraded = 1
	disabled = 2
)

// stateDetails is the JSON of what only callers need of a state.
type stateDetails struct {
	FailingSince int64         `json:"failing_since,omitempty"` // microseconds since 1970
	FailedProbes int           `json:"failed_probes,omitempty"`
	ChangedBy    string        `json:"changed_by,omitempty"`
	Cause        *detailsCause `json:"cause,omitempty"`
	// Inconclusive counts probes.
	Inconclusive int             `json:"inconclusive,omitempty"`
	Last         *detailsFailure `json:"last,omitempty"`
}

type detailsFailure struct {
	Since int64         `json:"since"` // microseconds since 1970
	Until int64         `json:"until"`
	Cause *detailsCause `json:"cause,omitempty"`
}

type detailsCause struct {
	DeliveryID int64  `json:"delivery"`
	Class      string `json:"class"`
	StatusCode int    `json:"status,omitempty"`
	Error      string `json:"error"`
}

func encodeDetails(s *webhook.EndpointState) (string, error) {
	d := stateDetails{FailingSince: microsOrZero(s.FailingSince), FailedProbes: s.FailedProbes,
		ChangedBy: s.ChangedBy, Cause: detailsOf(s.Cause), Inconclusive: s.InconclusiveProbes}
	if l := s.LastFailure; l != nil {
		d.Last = &detailsFailure{micros(l.Since), micros(l.Until), detailsOf(l.Cause)}
	}
	raw, err := json.Marshal(d)
	return string(raw), err
}

func decodeDetails(s *webhook.EndpointState, raw []byte) error {
	if raw == nil {
		return nil
	}
	var d stateDetails
	if err := json.Unmarshal(raw, &d); err != nil {
		return fmt.Errorf("sqlstore: the state of %s of %s: %w", s.Channel, s.SubscriptionID, err)
	}
	s.FailingSince, s.FailedProbes = momentOrZero(d.FailingSince), d.FailedProbes
	s.ChangedBy = d.ChangedBy
	s.Cause, s.InconclusiveProbes = d.Cause.cause(), d.Inconclusive
	if l := d.Last; l != nil {
		s.LastFailure = &webhook.EndpointFailure{Since: moment(l.Since), Until: moment(l.Until),
			Cause: l.Cause.cause()}
	}
	return nil
}

func detailsOf(c *webhook.EndpointCause) *detailsCause {
	if c == nil {
		return nil
	}
	return &detailsCause{int64(c.DeliveryID), c.Class, c.StatusCode, c.Error}
}

func (c *detailsCause) cause() *webhook.EndpointCause {
	if c == nil {
		return nil
	}
	return &webhook.EndpointCause{DeliveryID: webhook.DeliveryID(c.DeliveryID), Class: c.Class,
		StatusCode: c.StatusCode, Error: c.Error}
}

func scanState(row scanner) (s webhook.EndpointState, err error) {
	var health int
	var since, probeAt *int64
	var details []byte
	err = row.Scan(&s.OrganizationID, &s.SubscriptionID, &s.Channel, &health, &since, &s.Revision,
		&probeAt, &details)
	if err != nil {
		return s, err
	}
	for name, stored := range healths {
		if stored == health {
			s.Health = name
		}
	}
	if since != nil {
		s.Since = moment(*since)
	}
	if probeAt != nil && *probeAt != atOnce {
		s.NextProbe = moment(*probeAt)
	}
	return s, decodeDetails(&s, details)
}

// EndpointState implements [webhook.EndpointStore].
func (s *Store) EndpointState(
	ctx context.Context, organizationID string, e webhook.Endpoint,
) (webhook.EndpointState, error) {
	states, err := s.readStates(ctx, s.endpoints.get, organizationID, e.SubscriptionID, e.Channel)
	if err == nil && len(states) == 0 {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return webhook.EndpointState{}, err
	}
	return states[0], nil
}

// EndpointStates implements [webhook.EndpointStore].
func (s *Store) EndpointStates(
	ctx context.Context, query webhook.EndpointQuery,
) ([]webhook.EndpointState, error) {
	least, most := degraded, disabled
	if query.Health != "" {
		health, ok := healths[query.Health]
		if !ok {
			return nil, ctx.Err()
		}
		least, most = health, health
	}
	args := []any{least, most, query.OrganizationID}
	statement := s.endpoints.all
	switch {
	case query.AllOrganizations:
		statement = s.endpoints.everywhere
	case query.SubscriptionID != "":
		statement, args = s.endpoints.ofSubscription, append(args, query.SubscriptionID)
	}
	args = append(args, query.After.SubscriptionID, query.After.Channel, query.PageSize())
	return s.readStates(ctx, statement, args...)
}

func (s *Store) readStates(
	ctx context.Context, statement string, args ...any,
) (states []webhook.EndpointState, err error) {
	err = collect(ctx, s.read, func(row scanner) error {
		state, err := scanState(row)
		states = append(states, state)
		return err
	}, statement, args...)
	return states, s.mapped(err)
}

// SetEndpointStates implements [webhook.EndpointStore].
func (s *Store) SetEndpointStates(
	ctx context.Context, changes []webhook.EndpointChange,
) ([]error, error) {
	settings := make([]*setting, len(changes))
	for i := range changes {
		state := changes[i].State
		if _, ok := healths[state.Health]; !ok {
			return nil, fmt.Errorf("sqlstore: an endpoint cannot be %q", state.Health)
		}
		details, err := encodeDetails(state)
		if err != nil {
			return nil, err
		}
		settings[i] = &setting{EndpointChange: changes[i], details: details}
	}
	sorted := slices.Clone(settings)
	slices.SortStableFunc(sorted, func(a, b *setting) int {
		return cmp.Or(cmp.Compare(a.State.OrganizationID, b.State.OrganizationID),
			cmp.Compare(a.State.SubscriptionID, b.State.SubscriptionID),
			cmp.Compare(a.State.Channel, b.State.Channel))
	})
	err := s.write(ctx, func(ctx context.Context, q Querier) error {
		for _, c := range sorted {
			c.refused = nil // the transaction may be another try
		}
		each := func(step func(context.Context, Querier, *setting) error, all []*setting) error {
			for _, c := range all {
				if c.refused != nil {
					continue
				}
				if err := step(ctx, q, c); err != nil {
					return err
				}
			}
			return nil
		}
		if err := each(s.findState, sorted); err != nil {
			return err
		}
		if err := each(s.raiseFor, sorted); err != nil {
			return err
		}
		// TakePermits locks endpoints in the order of their ids, too.
		byID := slices.Clone(sorted)
		slices.SortStableFunc(byID, func(a, b *setting) int { return cmp.Compare(a.id, b.id) })
		return each(s.setState, byID)
	})
	if err != nil {
		return nil, err
	}
	results := make([]error, len(changes))
	for i, c := range settings {
		if results[i] = c.refused; c.refused == nil {
			c.State.Revision++
		}
	}
	return results, nil
}

// setting is a change of a state in a transaction.
type setting struct {
	webhook.EndpointChange
	details string
	// id and health are those of the stored endpoint, and version is the next one of its organization
	// if the health changes.
	id, version int64
	health      int
	refused     error // the result of the change
}

// findState reads the endpoint.
func (s *Store) findState(ctx context.Context, q Querier, c *setting) error {
	var revision int64
	found, err := one(ctx, q, s.endpoints.find,
		[]any{c.State.OrganizationID, c.State.SubscriptionID, c.State.Channel},
		[]any{&c.id, &c.health, &revision})
	switch {
	case err != nil:
		return err
	case !found:
		c.refused = webhook.ErrNotFound
	case revision != c.State.Revision:
		c.refused = webhook.ErrConflict
	}
	return nil
}

// raiseFor takes the next version of the organization if the health changes. It locks the
// organization, as every change of a subscription does, before any endpoint.
func (s *Store) raiseFor(ctx context.Context, q Querier, c *setting) (err error) {
	if healths[c.State.Health] != c.health {
		c.version, err = s.raise(ctx, q, c.State.OrganizationID)
	}
	return err
}

// setState writes the state, if nothing is against it.
func (s *Store) setState(ctx context.Context, q Querier, c *setting) error {
	state, next := c.State, healths[c.State.Health]
	var current int64
	var paused int
	var routed []byte
	found, err := one(ctx, q, s.endpoints.route, []any{state.OrganizationID, state.SubscriptionID},
		[]any{&current, &paused, &routed})
	switch {
	case err != nil:
		return err
	case !found:
		c.refused = webhook.ErrNotFound
		return nil
	case c.SubscriptionRevision != 0 && c.SubscriptionRevision != current:
		c.refused = webhook.ErrConflict
		return nil
	}
	stored := int64(paused)
	if next == disabled {
		stored = endpointPaused
	}
	var since any
	if !state.Since.IsZero() {
		since = micros(state.Since)
	}
	n, err := q.Exec(ctx, s.endpoints.set, stored, next, since, probeAt(state), c.details, c.id,
		state.Revision)
	switch {
	case err != nil:
		return err
	case n == 0:
		c.refused = webhook.ErrConflict
		return nil
	case next == c.health:
		return nil
	}
	endpoints, err := holdRouted(routed, c.id, next != healthy)
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, s.endpoints.hold, c.version, endpoints, state.OrganizationID,
		state.SubscriptionID)
	return err
}

// atOnce is the probe_at of a degraded endpoint without a NextProbe.
const atOnce = math.MinInt64

// probeAt returns the column probe_at, which is NULL unless the endpoint is degraded.
func probeAt(state *webhook.EndpointState) any {
	switch {
	case state.Health != webhook.Degraded:
		return nil
	case state.NextProbe.IsZero():
		return int64(atOnce)
	}
	return micros(state.NextProbe)
}

// holdRouted returns the endpoints of a route with one marked as held, or not.
func holdRouted(encoded []byte, id int64, held bool) (string, error) {
	var routed []routedEndpoint
	if err := json.Unmarshal(encoded, &routed); err != nil {
		return "", fmt.Errorf("sqlstore: the endpoints of a route: %w", err)
	}
	for i := range routed {
		if routed[i].ID == id {
			routed[i].Held = held
		}
	}
	raw, err := json.Marshal(routed)
	return string(raw), err
}

// takeProbes keeps one task of each degraded endpoint whose probe is due, moves the time of its next
// one to the end of the lease, and drops the other tasks of degraded endpoints: another claim may
// have taken the probe since they were found. It passes over endpoints that another transaction has
// locked.
func (s *Store) takeProbes(ctx context.Context, q Querier, c *claiming) error {
	var ids []int64
	for id, o := range c.endpoints {
		if o.degraded {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	probes := make(map[int64]*webhook.EndpointState)
	err := collect(ctx, q, func(row scanner) error {
		var id int64
		var since *int64
		var details []byte
		state := &webhook.EndpointState{Health: webhook.Degraded}
		if err := row.Scan(&id, &since, &state.Revision, &details); err != nil {
			return err
		}
		o := c.endpoints[id]
		state.OrganizationID, state.Endpoint = o.organizationID, o.endpoint
		state.Revision++
		state.NextProbe = moment(micros(c.request.Until))
		if since != nil {
			state.Since = moment(*since)
		}
		probes[id] = state
		return decodeDetails(state, details)
	}, s.endpoints.probed, s.x.dialect.ints(ids), c.now)
	if err != nil {
		return err
	}
	kept, holdings, taken := c.tasks[:0], c.holdings[:0], ids[:0]
	for i := range c.tasks {
		id := c.holdings[i].endpointID
		if c.endpoints[id].degraded {
			if probes[id] == nil {
				continue
			}
			c.tasks[i].Probe, probes[id] = probes[id], nil
			taken = append(taken, id)
		}
		kept, holdings = append(kept, c.tasks[i]), append(holdings, c.holdings[i])
	}
	c.tasks, c.holdings = kept, holdings
	if len(taken) == 0 {
		return nil
	}
	_, err = q.Exec(ctx, s.endpoints.probing, micros(c.request.Until), s.x.dialect.ints(taken))
	return err
}

// repairProbes has degraded endpoints probed now whose next probe is too far ahead.
func (s *Store) repairProbes(
	ctx context.Context, now int64, r webhook.RepairRequest,
) (repaired int, err error) {
	if r.ProbesAfter.IsZero() {
		return 0, nil
	}
	ids, err := collectIDs(ctx, s.read, s.endpoints.ahead, micros(r.ProbesAfter), r.Limit)
	if err != nil || len(ids) == 0 {
		return 0, s.mapped(err)
	}
	var n int64
	err = s.write(ctx, func(ctx context.Context, q Querier) (err error) {
		n, err = q.Exec(ctx, s.endpoints.probing, now, s.x.dialect.ints(ids))
		return err
	})
	return int(n), err
}
