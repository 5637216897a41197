package monitor

import (
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
)

// summaryOf says in sentences what a report is about, for people who read it in a mail or a chat:
// what happened to whose webhook, why, since when, and what to do.
func (m *Monitor) summaryOf(r *report) string {
	switch r.eventType {
	case BacklogGrowing:
		return fmt.Sprintf("Deliveries are late: the oldest that is due has been waiting for %s; %v are "+
			"pending, and %v are in flight. Endpoints that are not healthy do not count. Look whether all processes "+
			"run and the store is fast: webhooks doctor. Or more comes in than a rate limit lets out: webhooks "+
			"deliveries show says why one of those waits that are in webhooks deliveries list --status pending "+
			"--until 5m.", secondsOf(r, "oldest_due_age_seconds"),
			r.metadata["pending"], r.metadata["in_flight"])
	case BacklogCleared:
		return fmt.Sprintf("Deliveries are made in time again; %v are pending. Nothing is to be done.",
			r.metadata["pending"])
	}
	text := m.whatOf(r)
	if since, ok := r.metadata["failing_since"].(string); ok && r.eventType != WebhookRecovered {
		text += " It has been failing since " + clockText(since) + "."
	}
	return text + " " + m.adviceOf(r)
}

// whatOf is the first sentence: what happened to whose endpoint, and why.
func (m *Monitor) whatOf(r *report) string {
	e, f := endpointText(r), r.metadata
	if r.eventType != DeliveryDead {
		e = "W" + e[1:]
	}
	switch r.eventType {
	case WebhookDegraded:
		return e + " is degraded" + because(f) + "."
	case WebhookFailing:
		return fmt.Sprintf("%s has failed for %v%% of the time after which it is disabled%s.", e,
			f["percent"], because(f))
	case WebhookDisabled:
		if by, ok := f["changed_by"].(string); ok {
			return e + " was disabled by " + by + "."
		}
		return e + " is disabled" + because(f) + "."
	case WebhookRecovered:
		text := e + " is healthy again"
		if by, ok := f["changed_by"].(string); ok {
			text = e + " was enabled by " + by
		}
		if since, ok := f["failing_since"].(string); ok {
			text += ", after it had been failing since " + clockText(since)
		}
		return text + "."
	case WebhookRefusing:
		since, _ := f["since"].(string)
		return fmt.Sprintf("%s has refused everything since %s, %v deliveries, the last one%s.", e,
			clockText(since), f["refused"], because(f))
	}
	if f["dead"] == 1 {
		return fmt.Sprintf("1 delivery to %s was given up: an event of type %v%s.", e, f["event_type"],
			because(f))
	}
	return fmt.Sprintf("%v deliveries to %s were given up, the last one, of type %v%s.", f["dead"], e,
		f["event_type"], because(f))
}

// adviceOf says what to do, with the commands.
func (m *Monitor) adviceOf(r *report) string {
	id := r.about.endpoint.SubscriptionID
	look := "webhooks endpoints show " + id
	switch r.eventType {
	case WebhookDegraded:
		text := "Its deliveries wait without using up attempts, and go out once a probe succeeds."
		if !never(m.cfg.DisabledAfter) {
			text += " After " + spanText(m.cfg.DisabledAfter) + " of failures it is disabled."
		}
		return text + " Tell its owner. To look: " + look + "."
	case WebhookFailing:
		at, _ := r.metadata["disabled_at"].(string)
		return "It is disabled at " + clockText(at) + " unless it answers. Tell its owner. To look: " +
			look + "."
	case WebhookDisabled:
		return "Its deliveries wait until a person enables it. Once it works: webhooks endpoints enable " +
			id + " " + r.about.endpoint.Channel + "."
	case WebhookRecovered:
		return "What has waited goes out, slowly at first. What was given up is not sent again by itself: " +
			"webhooks deliveries replay --all --dry-run " + id + " counts it, and without --dry-run sends it."
	case WebhookRefusing:
		return "Nothing arrives there. Does it know the secret, and is its URL right? To look: " + look + "."
	}
	return "Once the cause is repaired, send them again. How many are dead: webhooks deliveries replay " +
		"--all --dry-run " + id + ". The same without --dry-run sends them."
}

// endpointText names the endpoint, and whose it is. Quotes are those that a text message has, too.
func endpointText(r *report) string {
	name, ok := r.metadata["webhook_name"].(string)
	if !ok {
		name = r.about.endpoint.SubscriptionID
	}
	text := `webhook "` + name + `" (channel ` + r.about.endpoint.Channel
	if r.about.organizationID != "" {
		text += ", organization " + r.about.organizationID
	}
	return text + ")"
}

// because gives the last failure as a part of a sentence.
func because(metadata map[string]any) string {
	class, _ := metadata["error_class"].(string)
	text, _ := metadata["error"].(string)
	if class == "" && text == "" {
		return ""
	}
	return ": " + channel.Describe(channel.Class(class), text)
}

func clockText(stamp string) string {
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return stamp
	}
	return at.UTC().Format("2 January 2006, 15:04 UTC")
}

// spanText writes a duration in its largest unit if that is whole.
func spanText(d time.Duration) string {
	if d >= day && d%day == 0 {
		if d == day {
			return "a day"
		}
		return fmt.Sprintf("%d days", d/day)
	}
	return d.String()
}

func secondsOf(r *report, field string) time.Duration {
	seconds, _ := r.metadata[field].(float64)
	return time.Duration(seconds * float64(time.Second)).Round(time.Second)
}
