package promhook

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// gauge is one that is made of Stats when it is collected.
type gauge struct {
	desc *prometheus.Desc
	// values returns the value for each value of the label; a gauge without a label has one for "".
	values func(s *dispatch.Stats) map[string]float64
	// stored says that it is of the store, so that there is none if that fails.
	stored bool
}

// gauges are the metrics of what a Dispatcher says in its Stats.
type gauges struct {
	*gaugesState
	list []gauge
	up   *prometheus.Desc
}

type gaugesState struct {
	cfg    Config
	errors prometheus.Counter

	mu      sync.Mutex
	source  Watcher
	at      time.Time // when stats were read
	stats   dispatch.Stats
	failing bool
}

func newGauges(cfg Config, errors prometheus.Counter) gauges {
	g := gauges{gaugesState: &gaugesState{cfg: cfg, errors: errors}}
	add := func(
		stored bool, name, help, label string, values func(*dispatch.Stats) map[string]float64,
	) {
		var labels []string
		if label != "" {
			labels = []string{label}
		}
		desc := prometheus.NewDesc(cfg.Namespace+"_"+name, help, labels, nil)
		g.list = append(g.list, gauge{desc, values, stored})
	}
	one := func(name, help string, value func(*dispatch.ProcessStats) float64) {
		add(false, name, help, "", func(s *dispatch.Stats) map[string]float64 {
			return map[string]float64{"": value(&s.Process)}
		})
	}
	g.up = prometheus.NewDesc(cfg.Namespace+"_store_up",
		"Whether the store answered when the figures were read last.", nil, nil)
	add(true, "deliveries",
		"Deliveries in the store that have not succeeded, by their state now.", labelState,
		func(s *dispatch.Stats) map[string]float64 {
			return map[string]float64{
				string(webhook.StatusPending):  float64(s.Stored.Pending),
				string(webhook.StatusInFlight): float64(s.Stored.InFlight),
				string(webhook.StatusPaused):   float64(s.Stored.Paused),
				string(webhook.StatusDead):     float64(s.Stored.Dead),
			}
		})
	add(true, "deliveries_incomplete",
		"Whether there may be more deliveries of a kind in the store than were counted.", labelKind,
		func(s *dispatch.Stats) map[string]float64 {
			return map[string]float64{
				"unfinished": number(s.Stored.MoreUnfinished), "dead": number(s.Stored.MoreDead),
			}
		})
	add(true, "oldest_delivery_age_seconds",
		"For how long a delivery has been due: in the store, or in memory and in flight here.",
		labelState, func(s *dispatch.Stats) map[string]float64 {
			return map[string]float64{
				string(webhook.StatusPending):  s.OldestDueAge().Seconds(),
				string(webhook.StatusInFlight): s.OldestLeasedAge().Seconds(),
			}
		})
	add(true, "deliveries_in_line",
		"Deliveries in the store that wait behind another one of their subject.", "",
		func(s *dispatch.Stats) map[string]float64 {
			return map[string]float64{"": float64(s.Stored.InLine)}
		})
	add(true, "deliveries_holding",
		"Dead deliveries that hold back the later ones of their subject.", "",
		func(s *dispatch.Stats) map[string]float64 {
			return map[string]float64{"": float64(s.Stored.Holding)}
		})
	add(true, "oldest_holding_delivery_age_seconds",
		"For how long the oldest of these deliveries has been dead.", "",
		func(s *dispatch.Stats) map[string]float64 {
			return map[string]float64{"": s.OldestHoldingAge().Seconds()}
		})
	add(true, "endpoints",
		"Endpoints that are not healthy, by their stored health.", labelHealth,
		func(s *dispatch.Stats) map[string]float64 {
			return map[string]float64{
				string(webhook.Degraded): float64(s.Stored.DegradedEndpoints),
				string(webhook.Disabled): float64(s.Stored.DisabledEndpoints),
			}
		})
	add(true, "processes",
		"Processes that deliver, and those that were not heard of lately and did not stop.", labelState,
		func(s *dispatch.Stats) map[string]float64 {
			if s.Processes == nil {
				return nil // the store does not keep them
			}
			return map[string]float64{"alive": float64(s.Processes.Alive), "lost": float64(s.Processes.Lost)}
		})
	one("running", "Whether this process delivers.",
		func(p *dispatch.ProcessStats) float64 { return number(p.Running) })
	one("workers", "Goroutines that make attempts or are about to look for one.",
		func(p *dispatch.ProcessStats) float64 { return float64(p.Workers) })
	one("attempts_in_flight", "Attempts of this process that are under way.",
		func(p *dispatch.ProcessStats) float64 { return float64(p.InFlight) })
	one("deliveries_leased", "Deliveries that are leased to this process.",
		func(p *dispatch.ProcessStats) float64 { return float64(p.Leased) })
	one("deliveries_queued", "Deliveries that wait in the memory of this process for their turn.",
		func(p *dispatch.ProcessStats) float64 { return float64(p.Queued) })
	one("queued_bytes", "Bytes of the payloads that wait in the memory of this process.",
		func(p *dispatch.ProcessStats) float64 { return float64(p.QueuedBytes) })
	one("tripped_breakers", "Endpoints whose breaker is open or half-open in this process.",
		func(p *dispatch.ProcessStats) float64 { return float64(p.TrippedBreakers) })
	one("rate_limited_endpoints", "Endpoints with deliveries in memory that wait for their rate limit.",
		func(p *dispatch.ProcessStats) float64 { return float64(p.RateLimited) })
	one("last_claim_timestamp_seconds",
		"When the store last answered a claim of this process, in seconds since 1970; 0 is never.",
		func(p *dispatch.ProcessStats) float64 {
			if p.LastClaim.IsZero() {
				return 0
			}
			return float64(p.LastClaim.UnixMicro()) / 1e6
		})
	return g
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (g *gauges) watch(d Watcher) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.source, g.at = d, time.Time{}
}

func (g *gauges) describe(descs chan<- *prometheus.Desc) {
	descs <- g.up
	for i := range g.list {
		descs <- g.list[i].desc
	}
}

func (g *gauges) collect(metrics chan<- prometheus.Metric) {
	stats, failing, ok := g.read()
	if !ok {
		return
	}
	metrics <- prometheus.MustNewConstMetric(g.up, prometheus.GaugeValue, number(!failing))
	for i := range g.list {
		each := &g.list[i]
		if failing && each.stored {
			continue
		}
		for label, value := range each.values(&stats) {
			var labels []string
			if label != "" {
				labels = []string{label}
			}
			metrics <- prometheus.MustNewConstMetric(each.desc, prometheus.GaugeValue, value, labels...)
		}
	}
}

// read returns the Stats, which it asks for if those that it has are too old.
func (s *gaugesState) read() (stats dispatch.Stats, failing, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.source == nil {
		return stats, false, false
	}
	if s.at.IsZero() || time.Since(s.at) >= s.cfg.CacheFor {
		ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Timeout)
		defer cancel()
		var err error
		if s.stats, err = s.source.Stats(ctx); err != nil {
			s.errors.Inc()
		}
		s.failing, s.at = err != nil, time.Now()
	}
	return s.stats, s.failing, true
}
