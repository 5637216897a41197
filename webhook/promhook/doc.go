// Package promhook makes metrics for Prometheus of what a Dispatcher does:
//
//	metrics, err := promhook.New(prometheus.DefaultRegisterer, promhook.Config{})
//	d, err := dispatch.New(store, dispatch.Config{Hooks: metrics.Hooks()})
//	metrics.Watch(d)
//	http.Handle("/metrics", promhttp.Handler())
//
// For the connections of HTTP channels, their client has to know the metrics too:
//
//	channels, err := standard.New(standard.Config{
//		HTTP: channelkit.HTTPConfig{Connected: metrics.Connected},
//	})
//
// It is a module of its own, so that only programs that use it depend on the client library of
// Prometheus. The folder examples/monitoring has a dashboard, alert rules, and a page for operators.
//
// # Metrics
//
// All names begin with Config.Namespace, webhooks by default. Durations are histograms in seconds.
//
//	events_emitted_total                  by event_type and result: stored or duplicate
//	emit_duration_seconds                 calls of Emit and EmitTx
//	attempts_total                        by channel, result and status_class
//	attempt_duration_seconds              by channel
//	connections_total                     by kind: opened for a request, or reused, with
//	                                      [Metrics.Connected]
//	first_attempt_delay_seconds           from the emit to the first attempt
//	attempt_lag_seconds                   from when an attempt was due to when it was made, by
//	                                      rate_limited: true if the endpoint has a rate limit, so that
//	                                      a delivery may have waited for that and not for a process
//	deliveries_finished_total             by event_type and status: succeeded or dead
//	delivery_duration_seconds             from the emit to the final result, by status
//	claim_duration_seconds, claim_deliveries, settle_duration_seconds, settle_deliveries
//	                                      calls of the store, and how many deliveries each had
//	prune_duration_seconds, pruned_rows_total
//	store_errors_total                    by op: emit, claim, settle, prune or stats; without calls
//	                                      that were cancelled, but with those whose time was over,
//	                                      and emits that were cancelled after more than a second
//	late_results_total, leases_lost_total
//	health_changes_total                  by the health that an endpoint has changed to
//
// [Metrics.Watch] adds gauges. Those of the store are the same in every process that shares it: take
// the max of them, not the sum.
//
//	deliveries                            by state: pending, in_flight, paused or dead
//	deliveries_incomplete                 by kind, unfinished or dead: 1 if there are more
//	oldest_delivery_age_seconds           by state: pending in the store, in_flight here
//	deliveries_in_line                    those that wait behind another one of their subject
//	deliveries_holding                    dead ones that hold back later ones of their subject
//	oldest_holding_delivery_age_seconds   for how long the oldest of those has been dead
//	endpoints                             by health: degraded or disabled
//	processes                             by state: alive, or lost in the last hour: killed, or cut off
//	store_up                              1 if the store could be read (not: be written)
//
// Those of the process are to be summed, except last_claim_timestamp_seconds, which is a time:
//
//	running, workers, attempts_in_flight, deliveries_leased, deliveries_queued, queued_bytes,
//	tripped_breakers, rate_limited_endpoints, last_claim_timestamp_seconds
//
// # Labels
//
// No label has an id, so that the number of series depends neither on the number of endpoints nor on
// that of organizations. Channels are labelled by their names, and event types by theirs; beyond
// Config.MaxChannels and Config.MaxEventTypes of them, those that come later are counted as
// [Other]. The result of an attempt is succeeded, cancelled because Run ended, or a class of package
// channel.
//
// # What is where
//
//   - promhook.go: Config, New, Metrics
//   - instruments.go: the counters and histograms
//   - hooks.go: the hooks that move them
//   - labels.go: what labels are made of
//   - collector.go: the gauges
package promhook
