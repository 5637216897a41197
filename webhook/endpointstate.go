package webhook

import "time"

// Health is how an endpoint is doing as a whole, for all processes that share a store. It does not
// tell whether deliveries succeed: an endpoint that refuses each event with 400 is healthy.
//
//	healthy ──keeps failing──▶ degraded ──keeps failing for days, or says that it is gone──▶ disabled
//	   ▲──── a probe is answered ────┘                                                          │
//	   └───────────────────────────── a person enables it ──────────────────────────────────────┘
//
// An endpoint that says that it is gone, or that a person disables, becomes disabled at once, also
// from healthy. One that the library has disabled becomes degraded when its configs change.
type Health string

// The values of Health.
const (
	// Healthy endpoints get their deliveries. Every endpoint is healthy at first.
	Healthy Health = "healthy"
	// Degraded endpoints keep failing: they time out, cannot be reached, or answer 5xx, 429 and the
	// like. Their deliveries wait, except for one at a time, over all processes, which is attempted as
	// a probe.
	Degraded Health = "degraded"
	// Disabled endpoints get nothing until a person enables them or, if the library has disabled
	// them, changes their configs. Their deliveries wait, and are reported as StatusPaused.
	Disabled Health = "disabled"
)

// EndpointState is the stored state of an endpoint.
type EndpointState struct {
	OrganizationID string `json:"-"`
	Endpoint
	Health Health `json:"health"`
	// Since is when the endpoint got its Health; zero if it has always been healthy.
	Since time.Time `json:"since,omitzero"`
	// FailingSince is when the first failure happened after the endpoint's last answer, or after a person
	// enabled it or changed its configuration, if that is later. The time until it is disabled counts
	// from then, so that one that was repaired has all of it again. Whether it has answered since it was
	// enabled is stored nowhere: a healthy endpoint that answers costs no write. LastFailure says since
	// when it failed before that. Zero if the endpoint is healthy, or was disabled while it was healthy.
	FailingSince time.Time `json:"failing_since,omitzero"`
	// FailedProbes is how many probes of a degraded endpoint have failed.
	FailedProbes int `json:"failed_probes,omitempty"`
	// NextProbe is when a degraded endpoint may be probed; while a probe is in flight, when its lease
	// ends. Zero means at once.
	NextProbe time.Time `json:"next_probe,omitzero"`
	// ChangedBy names the person or program that set Health, as the caller named it. Empty means the
	// library.
	ChangedBy string `json:"changed_by,omitempty"`
	// Cause is why the endpoint is not healthy: the last failure. Nil if a person disabled it.
	Cause *EndpointCause `json:"cause,omitempty"`
	// LastFailure is the run of failures before this state, which ended when the endpoint answered, or
	// a person enabled it or changed its configuration. An endpoint that fails again soon after it was
	// enabled has been failing since then, as far as its owner is concerned. Nil if there was none.
	LastFailure *EndpointFailure `json:"last_failure,omitempty"`
	// InconclusiveProbes is how many probes in a row have said nothing about the endpoint, such as
	// those of events that cannot be rendered.
	InconclusiveProbes int `json:"-"`
	// Revision grows with every change of the state. It is set by the Store, and a change must carry
	// the revision that it was based on. 0 is the state of an endpoint that has always been healthy.
	Revision int64 `json:"-"`
}

// EndpointFailure is a run of failures of an endpoint that is over.
type EndpointFailure struct {
	// Since is the FailingSince of the state, and Until when the endpoint became healthy.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Cause is the last failure. Nil if it is not known.
	Cause *EndpointCause `json:"cause,omitempty"`
}

// EndpointCause is the failure of an attempt that says something about its endpoint as a whole.
type EndpointCause struct {
	DeliveryID DeliveryID `json:"delivery_id"`
	// Class, StatusCode and Error are those of the [Attempt].
	Class      string `json:"error_class"`
	StatusCode int    `json:"status_code,omitempty"`
	Error      string `json:"error"`
}

// Clone returns a copy that shares nothing with s.
func (s *EndpointState) Clone() *EndpointState {
	c := *s
	c.Cause = s.Cause.clone()
	if s.LastFailure != nil {
		last := *s.LastFailure
		last.Cause = last.Cause.clone()
		c.LastFailure = &last
	}
	return &c
}

func (c *EndpointCause) clone() *EndpointCause {
	if c == nil {
		return nil
	}
	clone := *c
	return &clone
}

// Recovered returns the state of the endpoint once it is healthy again, at that time: because it
// has answered, or because the person that by names says so. The failures that end are the
// LastFailure.
func (s *EndpointState) Recovered(at time.Time, by string) EndpointState {
	healthy := EndpointState{OrganizationID: s.OrganizationID, Endpoint: s.Endpoint, Health: Healthy,
		Since: at, ChangedBy: by, Revision: s.Revision, LastFailure: s.LastFailure}
	if !s.FailingSince.IsZero() {
		healthy.LastFailure = &EndpointFailure{Since: s.FailingSince, Until: at, Cause: s.Cause}
	}
	return *healthy.Clone()
}

// EndpointQuery selects the states of endpoints that are not healthy: those of one organization, or
// of all.
type EndpointQuery struct {
	OrganizationID string
	// AllOrganizations selects the endpoints of all organizations, those of each of them together. The
	// cursor is then OrganizationID and After, and SubscriptionID is not used.
	AllOrganizations bool
	// SubscriptionID selects the endpoints of one subscription. Empty selects all.
	SubscriptionID string
	// Health selects degraded or disabled endpoints. Empty selects both.
	Health Health
	// After is the cursor: the last endpoint of the previous page. Zero begins with the first one.
	After Endpoint
	// Limit is the largest number of states to return. 0 or less means [DefaultPageSize].
	Limit int
}

// PageSize returns how many states the query asks for at most.
func (q *EndpointQuery) PageSize() int {
	if q.Limit <= 0 {
		return DefaultPageSize
	}
	return q.Limit
}
