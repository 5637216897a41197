package promhook

import "github.com/prometheus/client_golang/prometheus"

// Labels and their values.
const (
	labelChannel     = "channel"
	labelEventType   = "event_type"
	labelResult      = "result"
	labelStatusClass = "status_class"
	labelStatus      = "status"
	labelOp          = "op"
	labelTo          = "to"
	labelState       = "state"
	labelKind        = "kind"
	labelHealth      = "health"
	labelRateLimited = "rate_limited"

	opEmit   = "emit"
	opClaim  = "claim"
	opSettle = "settle"
	opPrune  = "prune"
	opStats  = "stats"

	kindOpened = "opened"
	kindReused = "reused"

	rateLimited    = "true"
	notRateLimited = "false"
)

// The upper bounds of histograms: of calls of the store, of attempts, of what passes between emit
// and result, and of how many deliveries one call has.
var (
	callBuckets    = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30}
	attemptBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	delayBuckets   = []float64{.005, .025, .1, .5, 1, 5, 15, 60, 300, 1800, 7200, 21600, 86400, 259200}
	sizeBuckets    = []float64{0, 1, 2, 5, 10, 25, 50, 100, 250, 500}
)

// instruments are what the hooks move.
type instruments struct {
	emitted, attempts, connections, finished, storeErrors, healthChanges *prometheus.CounterVec
	prunedRows, lateResults, leasesLost                                  prometheus.Counter

	emitDuration, firstDelay                     prometheus.Histogram
	claimDuration, settleDuration, pruneDuration prometheus.Histogram
	claimSize, settleSize                        prometheus.Histogram
	attemptDuration, deliveryDuration, lag       *prometheus.HistogramVec

	all []prometheus.Collector
}

func newInstruments(namespace string) instruments {
	var i instruments
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: name, Help: help,
		})
		i.all = append(i.all, c)
		return c
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: name, Help: help,
		}, labels)
		i.all = append(i.all, c)
		return c
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: name, Help: help, Buckets: buckets,
		})
		i.all = append(i.all, h)
		return h
	}
	histograms := func(
		name, help string, buckets []float64, labels ...string,
	) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: name, Help: help, Buckets: buckets,
		}, labels)
		i.all = append(i.all, h)
		return h
	}

	i.emitted = counters("events_emitted_total",
		"Events that were emitted, by whether they were stored or were duplicates.",
		labelEventType, labelResult)
	i.emitDuration = histogram("emit_duration_seconds",
		"How long calls of Emit and EmitTx took.", callBuckets)
	i.attempts = counters("attempts_total",
		"Attempts to deliver, by what they came to and the class of the HTTP status.",
		labelChannel, labelResult, labelStatusClass)
	i.attemptDuration = histograms("attempt_duration_seconds",
		"How long attempts took.", attemptBuckets, labelChannel)
	i.connections = counters("connections_total",
		"Connections that requests went out on, by whether they were opened for them or kept before.",
		labelKind)
	i.firstDelay = histogram("first_attempt_delay_seconds",
		"How much time passed from the emit to the first attempt of a delivery.", delayBuckets)
	i.lag = histograms("attempt_lag_seconds",
		"How much later than they were due attempts were made, by whether the endpoint has a rate limit.",
		delayBuckets, labelRateLimited)
	i.finished = counters("deliveries_finished_total",
		"Deliveries that came to an end, by whether they succeeded or are dead.",
		labelEventType, labelStatus)
	i.deliveryDuration = histograms("delivery_duration_seconds",
		"How much time passed from the emit to the final result of a delivery.",
		delayBuckets, labelStatus)
	i.claimDuration = histogram("claim_duration_seconds",
		"How long the store took to answer claims.", callBuckets)
	i.claimSize = histogram("claim_deliveries",
		"How many deliveries claims returned.", sizeBuckets)
	i.settleDuration = histogram("settle_duration_seconds",
		"How long the store took to record results.", callBuckets)
	i.settleSize = histogram("settle_deliveries",
		"How many results were recorded at a time.", sizeBuckets)
	i.pruneDuration = histogram("prune_duration_seconds",
		"How long the store took to remove what is old.", callBuckets)
	i.prunedRows = counter("pruned_rows_total",
		"Deliveries and events that were removed because they are old.")
	i.storeErrors = counters("store_errors_total",
		"Calls of the store that failed.", labelOp)
	i.lateResults = counter("late_results_total",
		"Results that were refused because they came too late.")
	i.leasesLost = counter("leases_lost_total",
		"Leases that were lost to other processes, or because a delivery was cancelled.")
	i.healthChanges = counters("health_changes_total",
		"How often endpoints changed their health, by what it became.", labelTo)

	// Series that alerts are about exist from the start, so that the first increase shows.
	for _, op := range []string{opEmit, opClaim, opSettle, opPrune, opStats} {
		i.storeErrors.WithLabelValues(op)
	}
	for _, status := range []string{statusSucceeded, statusDead} {
		i.deliveryDuration.WithLabelValues(status)
	}
	for _, limited := range []string{rateLimited, notRateLimited} {
		i.lag.WithLabelValues(limited)
	}
	for _, kind := range []string{kindOpened, kindReused} {
		i.connections.WithLabelValues(kind)
	}
	for _, health := range healths {
		i.healthChanges.WithLabelValues(health)
	}
	return i
}

// beginFinished makes the series of deliveries that came to an end with events of a type, so that
// the first of them shows as an increase.
func (i *instruments) beginFinished(eventType string) {
	for _, status := range []string{statusSucceeded, statusDead} {
		i.finished.WithLabelValues(eventType, status)
	}
}
