package monitor

import (
	"slices"

	"github.com/mixpeek/webhooks-go/event"
)

// The types of the operational events.
const (
	// WebhookDegraded says that an endpoint keeps failing, and is only probed from now on.
	WebhookDegraded = "webhook.degraded"
	// WebhookFailing says that a degraded endpoint has failed for 50, 70 or 90 percent of the time
	// after which it is disabled.
	WebhookFailing = "webhook.failing"
	// WebhookDisabled says that an endpoint gets nothing until a person enables it.
	WebhookDisabled = "webhook.disabled"
	// WebhookRecovered says that an endpoint is healthy again, by itself or because a person enabled
	// it.
	WebhookRecovered = "webhook.recovered"
	// WebhookRefusing says that an endpoint has refused all deliveries for Config.RefusingAfter, as one
	// does whose secret is wrong. It is healthy, and gets more. It is repeated once a day.
	WebhookRefusing = "webhook.refusing"
	// DeliveryDead says that deliveries to an endpoint were given up.
	DeliveryDead = "delivery.dead"
	// BacklogGrowing says that the oldest due delivery has been waiting for Config.BacklogAge. It is
	// repeated each hour.
	BacklogGrowing = "backlog.growing"
	// BacklogCleared says that this is over.
	BacklogCleared = "backlog.cleared"
)

// IsOperational reports whether events of the type are operational events.
func IsOperational(eventType string) bool {
	return slices.ContainsFunc(types[:], func(info event.TypeInfo) bool {
		return info.Type == eventType
	})
}

// Types describes the operational events, for an [event.Catalogue] of your own:
//
//	catalogue := append(event.Mixpeek(), monitor.Types()...)
//
// Each has an example of its metadata.
func Types() event.Catalogue { return slices.Clone(types[:]) }

// types must not be changed.
var types = [...]event.TypeInfo{
	{
		Type: WebhookDegraded, Category: "webhook", DefaultScope: event.ScopeNone,
		Description: "An endpoint keeps failing: its deliveries wait while it is probed",
		Example: `{"subject": {"type": "webhook", "id": "wh_0123456789abcdef"}, "metadata": {
			"summary": "Webhook \"Shop\" (channel webhook, organization org_1) is degraded: …",
			"webhook_id": "wh_0123456789abcdef", "webhook_name": "Shop", "channel": "webhook", "organization_id": "org_1",
			"health": "degraded", "since": "2026-01-02T15:05:00Z",
			"failed_before_since": "2025-12-20T09:00:00Z", "failed_before_until": "2025-12-21T08:00:00Z",
			"failing_since": "2026-01-02T15:04:00Z", "delivery_id": "dlv_42", "error_class": "status",
			"status_code": 503, "error": "the endpoint answered 503 Service Unavailable"}}`,
	},
	{
		Type: WebhookFailing, Category: "webhook", DefaultScope: event.ScopeNone,
		Description: "An endpoint has failed for a large part of the time after which it is disabled",
		Example: `{"subject": {"type": "webhook", "id": "wh_0123456789abcdef"}, "metadata": {
			"summary": "Webhook \"Shop\" (channel webhook, organization org_1) has failed for 50% …",
			"webhook_id": "wh_0123456789abcdef", "webhook_name": "Shop", "channel": "webhook", "organization_id": "org_1",
			"health": "degraded", "since": "2026-01-02T15:05:00Z",
			"failed_before_since": "2025-12-20T09:00:00Z", "failed_before_until": "2025-12-21T08:00:00Z",
			"failing_since": "2026-01-02T15:04:00Z", "failed_probes": 120, "percent": 50,
			"disabled_at": "2026-01-07T15:04:00Z", "delivery_id": "dlv_42", "error_class": "status",
			"status_code": 503, "error": "the endpoint answered 503 Service Unavailable"}}`,
	},
	{
		Type: WebhookDisabled, Category: "webhook", DefaultScope: event.ScopeNone,
		Description: "An endpoint is disabled: its deliveries wait until a person enables it",
		Example: `{"subject": {"type": "webhook", "id": "wh_0123456789abcdef"}, "metadata": {
			"summary": "Webhook \"Shop\" (channel webhook, organization org_1) is disabled: …",
			"webhook_id": "wh_0123456789abcdef", "webhook_name": "Shop", "channel": "webhook", "organization_id": "org_1",
			"health": "disabled", "since": "2026-01-07T15:04:00Z",
			"failed_before_since": "2025-12-20T09:00:00Z", "failed_before_until": "2025-12-21T08:00:00Z",
			"failing_since": "2026-01-02T15:04:00Z", "failed_probes": 240, "delivery_id": "dlv_42",
			"error_class": "status", "status_code": 410, "error": "the endpoint answered 410 Gone"}}`,
	},
	{
		Type: WebhookRecovered, Category: "webhook", DefaultScope: event.ScopeNone,
		Description: "An endpoint is healthy again: what waited for it goes out",
		Example: `{"subject": {"type": "webhook", "id": "wh_0123456789abcdef"}, "metadata": {
			"summary": "Webhook \"Shop\" (channel webhook, organization org_1) was enabled by …",
			"webhook_id": "wh_0123456789abcdef", "webhook_name": "Shop", "channel": "webhook", "organization_id": "org_1",
			"health": "healthy", "since": "2026-01-03T15:04:00Z",
			"failing_since": "2026-01-02T15:04:00Z", "changed_by": "ann@example.com"}}`,
	},
	{
		Type: WebhookRefusing, Category: "webhook", DefaultScope: event.ScopeNone,
		Description: "An endpoint refuses everything, and nothing arrives",
		Example: `{"subject": {"type": "webhook", "id": "wh_0123456789abcdef"}, "metadata": {
			"summary": "Webhook \"Shop\" (channel webhook, organization org_1) has refused …",
			"webhook_id": "wh_0123456789abcdef", "webhook_name": "Shop", "channel": "webhook", "organization_id": "org_1",
			"since": "2026-01-02T15:04:00Z", "refused": 40, "delivery_id": "dlv_42",
			"event_id": "evt_7", "event_type": "object.created", "error_class": "status",
			"status_code": 401, "error": "the endpoint answered 401 Unauthorized"}}`,
	},
	{
		Type: DeliveryDead, Category: "delivery", DefaultScope: event.ScopeNone,
		Description: "Deliveries to an endpoint were given up, and can be replayed",
		Example: `{"subject": {"type": "webhook", "id": "wh_0123456789abcdef"}, "metadata": {
			"summary": "3 deliveries to webhook \"Shop\" (channel webhook, organization org_1) …",
			"webhook_id": "wh_0123456789abcdef", "webhook_name": "Shop", "channel": "webhook", "organization_id": "org_1",
			"since": "2026-01-02T15:04:00Z", "dead": 3, "delivery_id": "dlv_42",
			"event_id": "evt_7", "event_type": "object.created", "attempt": 80,
			"error_class": "status", "status_code": 404,
			"error": "the endpoint answered 404 Not Found"}}`,
	},
	{
		Type: BacklogGrowing, Category: "backlog", DefaultScope: event.ScopeNone,
		Description: "Deliveries have been due for too long: too few processes, or stuck ones",
		Example: `{"subject": {"type": "backlog", "id": "deliveries"}, "metadata": {
			"summary": "Deliveries are late: the oldest that is due has been waiting for 5m13s; …",
			"since": "2026-01-02T15:04:00Z", "oldest_due_age_seconds": 312.5, "bound_seconds": 300,
			"pending": 100000, "in_flight": 2048, "paused": 17, "dead": 3, "incomplete": true,
			"degraded_endpoints": 2, "disabled_endpoints": 1}}`,
	},
	{
		Type: BacklogCleared, Category: "backlog", DefaultScope: event.ScopeNone,
		Description: "Deliveries are made in time again",
		Example: `{"subject": {"type": "backlog", "id": "deliveries"}, "metadata": {
			"summary": "Deliveries are made in time again; 12 are pending. Nothing is to be done.",
			"since": "2026-01-02T15:04:00Z", "oldest_due_age_seconds": 0, "bound_seconds": 300,
			"pending": 12, "in_flight": 3, "paused": 17, "dead": 3, "incomplete": false,
			"degraded_endpoints": 2, "disabled_endpoints": 1}}`,
	},
}
