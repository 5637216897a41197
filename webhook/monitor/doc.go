// Package monitor tells people and programs what goes wrong with deliveries, by ordinary events
// that any channel can carry: a mail to the owner of a broken endpoint, a line in the chat of those
// on call. It needs no other program.
//
//	m, err := monitor.New(monitor.Config{Organization: "operator"})
//	d, err := dispatch.New(store, dispatch.Config{Hooks: m.Hooks()})
//	go d.Run(ctx)
//	go m.Run(ctx, d)
//
//	err = d.CreateSubscription(ctx, &webhook.Subscription{
//		Name: "on-call", OrganizationID: "operator",
//		EventTypes: []event.Pattern{"webhook.*", "delivery.*", "backlog.*"},
//		Channels:   []webhook.ChannelConfig{webhook.Via(slack.Config{…})},
//	})
//
// Run a Monitor in each process that runs a Dispatcher. They need no leader.
//
// # Operational events
//
//	webhook.degraded   an endpoint keeps failing, and is only probed from now on
//	webhook.failing    it has failed for 50, 70 or 90 % of Config.DisabledAfter
//	webhook.disabled   it gets nothing until a person enables it: it has failed for all of that
//	                   time, has said that it is gone, or a person has disabled it
//	webhook.recovered  it is healthy again, by itself or because a person enabled it
//	webhook.refusing   it has refused everything for Config.RefusingAfter, as with 401 or 403 to all
//	delivery.dead      deliveries to an endpoint were given up
//	backlog.growing    the oldest due delivery has been waiting for Config.BacklogAge
//	backlog.cleared    it has been waiting for less than half of that
//
// See Health of an endpoint in the documentation of package dispatch for when an endpoint is
// degraded and disabled. An endpoint that gets a few events a day, or that refuses all of them with
// 400, 401 or 403, never is: its deliveries become dead in the end. Nothing arrives there, and
// webhook.refusing says so once a day, as long as the process accounts for 10 deliveries of it and
// none that succeeded. Each process counts the deliveries that it attempted itself, from its start,
// in memory: with many processes an endpoint that gets few events is reported later, or not at all
// if they are restarted before. [dispatch.Dispatcher.Statistics] counts in the store, over all of
// them.
//
// The subject of an event about an endpoint is its subscription, of type webhook. Its metadata has
// these fields, those that apply:
//
//	summary                                the event in sentences: whose endpoint, why, since when,
//	                                       what to do; default mails, chat and text messages show it
//	webhook_id, webhook_name, channel,
//	organization_id                        the endpoint, and who owns it
//	health, since                          what it is now, and since when; of a delivery.dead, when
//	                                       the first of the deliveries was given up
//	failing_since, failed_probes           since when it fails, or had failed until it recovered
//	failed_before_since, _until            its failures before those, until it answered or a person
//	                                       enabled it
//	changed_by                             the person who disabled or enabled it
//	percent, disabled_at                   of a webhook.failing: when it will be disabled
//	error_class, status_code, error        the last failure, in which the channel leaves no secret
//	delivery_id                            the delivery that failed
//	refused, event_id, event_type          of a webhook.refusing: how many deliveries since then
//	dead, event_id, event_type, attempt    of a delivery.dead: how many deliveries this process had
//	                                       given up in this hour when it was emitted, which is at
//	                                       most Config.Interval after the first, and the last one
//
// Those about the backlog have a summary, and its figures, from Stats: since (when this process first
// saw it grow), oldest_due_age_seconds, bound_seconds, pending, in_flight, paused, dead, incomplete
// (the store stopped counting), degraded_endpoints and disabled_endpoints. [Types] has an example of
// each.
//
// # Who gets them
//
// They are emitted to the operator, which is [Config.Organization], to the customer that owns the
// endpoint, or to both: see [Audience]. Only subscriptions of that organization get them, and so
// does one that selects all events with "*".
//
// # How often
//
// There is at most one event of a kind about an endpoint in an hour, over all processes and
// restarts. The event_id is made of the kind, the organizations, the endpoint and the hour, so that
// Emit stores only the first. It remembers ids for dispatch.Config.Retention.Succeeded, which
// should not be less than a day. If an endpoint changes again in the hour and stays like that, the
// process that noticed it reports that when the next hour begins. A webhook.failing comes once in a
// run of failures for each threshold. A backlog.growing is repeated in each hour in which the
// backlog is too old, and for each one there is at most one backlog.cleared.
//
// Operational events do not feed themselves. If their own deliveries fail or become dead, there is
// no webhook.failing and no delivery.dead. If they alone make an endpoint degraded or healthy, that
// is reported once a day instead of once an hour.
//
// They can fail to arrive, for example while the mail server is down. Then each process logs a line
// at Error, at most once an hour for each endpoint, and [Monitor.Reasons] tells a health handler.
// [Silent] lists the subscriptions concerned; the overview of package console and "webhooks doctor"
// show them.
//
// An event may be lost: the process ends before it is emitted, or more wait than
// [Config.QueueSize]. The log of the Dispatcher and its Stats have the same news. An event that is
// emitted is delivered like any other.
//
// # What is where
//
//   - monitor.go, config.go: Monitor, New, Run, Config
//   - types.go: the types of the events, and their catalogue
//   - hooks.go: what the hooks notice
//   - look.go: the backlog
//   - refusing.go: endpoints that refuse everything
//   - silent.go: operational events that do not arrive
//   - report.go, words.go: what the events say, to whom, and their ids; their sentences
//   - emit.go: emitting, again if the store fails
//   - bounded.go: room that organizations share
package monitor
