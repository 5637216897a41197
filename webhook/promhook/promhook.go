package promhook

import (
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/settings"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// Config tunes the metrics. The zero value works.
type Config struct {
	// Namespace begins all names, followed by an underscore. Defaults to "webhooks".
	Namespace string
	// MaxChannels and MaxEventTypes bound how many names of channels and of event types get a label
	// of their own, in the order in which they come. Those that come later are counted as [Other].
	// Both default to 50; dispatch.NoLimit is no bound.
	MaxChannels, MaxEventTypes int
	// CacheFor is for how long the gauges of [Metrics.Watch] are given again, so that frequent
	// scrapes do not burden the store. Defaults to 10 s.
	CacheFor time.Duration
	// Timeout bounds how long a scrape waits for the store. Defaults to 5 s.
	Timeout time.Duration
	// TraceID returns the id of the trace that a context is a part of, or "". If it is set, counters
	// of attempts, and histograms, have exemplars with that id as trace_id. They are only sent in
	// the OpenMetrics format: see promhttp.HandlerOpts. With OpenTelemetry it is the TraceID of
	// trace.SpanContextFromContext, once dispatch.JoinHooks has joined the hooks of webhook/otelhook
	// with these. Defaults to none.
	TraceID func(context.Context) string
}

var namespacePattern = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

func (c Config) withDefaults() (Config, error) {
	settings.Default(&c.Namespace, "webhooks")
	settings.Default(&c.MaxChannels, 50)
	settings.Default(&c.MaxEventTypes, 50)
	settings.Default(&c.CacheFor, 10*time.Second)
	settings.Default(&c.Timeout, 5*time.Second)
	var p event.Problems
	if !namespacePattern.MatchString(c.Namespace) {
		p.Add("Namespace", "must be a letter or underscore, then letters, digits and underscores")
	}
	settings.AtLeast(&p, "MaxChannels", c.MaxChannels, 1)
	settings.AtLeast(&p, "MaxEventTypes", c.MaxEventTypes, 1)
	settings.AtLeast(&p, "CacheFor", c.CacheFor, time.Millisecond)
	settings.AtLeast(&p, "Timeout", c.Timeout, time.Millisecond)
	return c, p.Err()
}

// Metrics are the metrics of one Dispatcher. All methods are safe for concurrent use.
type Metrics struct {
	cfg         Config
	instruments instruments
	gauges      gauges
	channels    names
	eventTypes  names
}

// New makes metrics and registers them. They move once [Metrics.Hooks] are those of a Dispatcher,
// and have gauges after [Metrics.Watch].
//
// Several Dispatchers in one process each need Metrics of their own, with a registerer that tells
// them apart: prometheus.WrapRegistererWith.
//
// A wrong configuration is refused as an [event.ValidationError]. Other errors are those of the
// registerer, such as a prometheus.AlreadyRegisteredError.
func New(registerer prometheus.Registerer, cfg Config) (*Metrics, error) {
	if registerer == nil {
		return nil, errors.New("promhook: New: the registerer is nil")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Metrics{cfg: cfg, instruments: newInstruments(cfg.Namespace)}
	m.channels.limit, m.eventTypes.limit = cfg.MaxChannels, cfg.MaxEventTypes
	m.eventTypes.added = m.instruments.beginFinished
	m.instruments.beginFinished(Other)
	m.gauges = newGauges(cfg, m.instruments.storeErrors.WithLabelValues(opStats))
	if err := registerer.Register(collectors{m}); err != nil {
		return nil, err
	}
	return m, nil
}

// Watcher is what [Metrics.Watch] asks for figures: a *dispatch.Dispatcher.
type Watcher interface {
	Stats(ctx context.Context) (dispatch.Stats, error)
}

// Watch adds gauges of what the Dispatcher says in its Stats, which are asked for with each scrape,
// and at most once in Config.CacheFor. A second call replaces the Dispatcher of the first.
func (m *Metrics) Watch(d Watcher) { m.gauges.watch(d) }

// collectors registers all metrics at once, so that either all are or none.
type collectors struct{ m *Metrics }

func (c collectors) Describe(descs chan<- *prometheus.Desc) {
	for _, each := range c.m.instruments.all {
		each.Describe(descs)
	}
	c.m.gauges.describe(descs)
}

func (c collectors) Collect(metrics chan<- prometheus.Metric) {
	// The gauges first: an error of Stats is counted in this scrape then.
	c.m.gauges.collect(metrics)
	for _, each := range c.m.instruments.all {
		each.Collect(metrics)
	}
}
