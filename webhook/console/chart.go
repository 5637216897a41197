package console

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// bucket is what happened within an hour or a day.
type bucket struct {
	At                      time.Time
	Succeeded, Failed, Dead int64
	Took                    webhook.Durations
	// Counted says that it is known how much was waiting, in Backlog.
	Counted bool
	Backlog webhook.HourlyBacklog
}

// attempts counts all attempts.
func (b *bucket) attempts() int64 { return b.Succeeded + b.Failed }

func (b *bucket) add(h *webhook.HourlyStatistics) {
	b.Succeeded += h.Succeeded
	b.Failed += h.Failed
	b.Dead += h.Dead
	b.Took.Add(&h.Durations)
}

// series is a row of buckets of the same length, the oldest first.
type series struct {
	Step    time.Duration
	Buckets []bucket
}

// newSeries returns n empty buckets that end with the one of now.
func newSeries(now time.Time, step time.Duration, n int) series {
	s := series{step, make([]bucket, n)}
	last := now.UTC().Truncate(step)
	for i := range s.Buckets {
		s.Buckets[i].At = last.Add(-time.Duration(n-1-i) * step)
	}
	return s
}

// since is when the series begins.
func (s *series) since() time.Time { return s.Buckets[0].At }

// add counts an hour. Hours outside the series are left out.
func (s *series) add(h *webhook.HourlyStatistics) {
	i := int(h.Hour.Sub(s.since()) / s.Step)
	if !h.Hour.Before(s.since()) && i < len(s.Buckets) {
		s.Buckets[i].add(h)
	}
}

// addBacklog adds how much was waiting in an hour. Hours outside the series are left out.
func (s *series) addBacklog(h *webhook.HourlyBacklog) {
	i := int(h.Hour.Sub(s.since()) / s.Step)
	if !h.Hour.Before(s.since()) && i < len(s.Buckets) {
		s.Buckets[i].Counted = true
		s.Buckets[i].Backlog.Add(h)
	}
}

// Total adds up all buckets.
func (s *series) Total() (t bucket) {
	for i := range s.Buckets {
		b := &s.Buckets[i]
		t.Succeeded += b.Succeeded
		t.Failed += b.Failed
		t.Dead += b.Dead
		t.Took.Add(&b.Took)
	}
	return t
}

// Attempts counts all attempts of the bucket.
func (b bucket) Attempts() int64 { return b.attempts() }

// P50 and P95 say how long half, and 95 %, of the attempts took at most. 0 if there were none.
func (b bucket) P50() time.Duration { return b.Took.Quantile(0.5) }

// P95 is the 95th percentile.
func (b bucket) P95() time.Duration { return b.Took.Quantile(0.95) }

// Rate returns the share of the attempts that succeeded: while everything fails and is retried, no
// delivery has ended yet. It is not a number if there were none.
func (b bucket) Rate() float64 { return float64(b.Succeeded) / float64(b.attempts()) }

// NoRate reports whether there is nothing to make a rate of.
func (b bucket) NoRate() bool { return b.attempts() == 0 }

// EndedRate returns the share of the deliveries that succeeded, of those that succeeded or died, and
// NoneEnded whether there are none.
func (b bucket) EndedRate() float64 { return float64(b.Succeeded) / float64(b.Succeeded+b.Dead) }

// NoneEnded reports whether no delivery has succeeded or died.
func (b bucket) NoneEnded() bool { return b.Succeeded+b.Dead == 0 }

// bar is one bar of a chart, in the units of its viewBox. Charts are SVG that templates write:
// positions are numbers, and texts are escaped there.
type bar struct {
	X, Width          float64
	GoodY, GoodHeight float64
	BadY, BadHeight   float64
	Label             string
	// Tick is the text below the bar; most have none.
	Tick  string
	TickX float64
}

// chart is a chart of bars: accepted attempts, and failed ones above them.
type chart struct {
	Width, Height float64
	Bars          []bar
	// Top is what the highest line stands for, and Lines are the heights of the grid.
	Top   int64
	Lines []gridLine
	// Summary is the text for those who cannot see it.
	Summary string
	Empty   bool
}

type gridLine struct {
	Y     float64
	Label string
}

const (
	chartWidth, chartHeight = 880.0, 180.0
	chartLeft, chartBottom  = 44.0, 22.0
	chartTop                = 8.0
)

// Chart returns the volume as bars.
func (s *series) Chart() *chart {
	c := &chart{Width: chartWidth, Height: chartHeight}
	most := int64(0)
	for i := range s.Buckets {
		most = max(most, s.Buckets[i].attempts())
	}
	c.Empty = most == 0
	c.Top = niceTop(most)
	plot := chartHeight - chartBottom - chartTop
	for i := range int64(3) {
		value := c.Top * i / 2
		c.Lines = append(c.Lines, gridLine{round(chartTop + plot - plot*float64(i)/2), compact(value)})
	}
	step := (chartWidth - chartLeft) / float64(len(s.Buckets))
	gap := math.Min(6, step*0.25)
	every := max(1, len(s.Buckets)/6)
	for i := range s.Buckets {
		b := &s.Buckets[i]
		good := plot * float64(b.Succeeded) / float64(c.Top)
		bad := plot * float64(b.Failed) / float64(c.Top)
		if b.Failed > 0 && bad < 2 {
			bad = 2 // seen, however few
		}
		x := chartLeft + step*float64(i)
		one := bar{
			X: round(x + gap/2), Width: round(step - gap),
			GoodY: round(chartTop + plot - good), GoodHeight: round(good),
			BadY: round(math.Max(chartTop, chartTop+plot-good-bad)), BadHeight: round(bad),
			Label: fmt.Sprintf("%s: %s delivered, %s failed attempts, %s dead", s.name(b.At),
				number(b.Succeeded), number(b.Failed), number(b.Dead)),
		}
		if (len(s.Buckets)-1-i)%every == 0 {
			one.Tick, one.TickX = s.tick(b.At), round(x+step/2)
		}
		c.Bars = append(c.Bars, one)
	}
	t := s.Total()
	c.Summary = fmt.Sprintf("%s delivered, %s failed attempts and %s dead deliveries since %s",
		number(t.Succeeded), number(t.Failed), number(t.Dead), s.name(s.since()))
	return c
}

func (s *series) name(at time.Time) string {
	if s.Step >= 24*time.Hour {
		return at.Format("Mon 2 Jan")
	}
	return at.Format("Mon 2 Jan 15:04 UTC")
}

func (s *series) tick(at time.Time) string {
	if s.Step >= 24*time.Hour {
		return at.Format("2 Jan")
	}
	return at.Format("15:04")
}

// spark is a small chart of one row of a list.
type spark struct {
	Width, Height float64
	Bars          []bar
	Summary       string
}

// Spark returns the series as a small chart.
func (s *series) Spark() *spark {
	const step, height = 5.0, 24.0
	c := &spark{Width: step * float64(len(s.Buckets)), Height: height}
	most := int64(1)
	for i := range s.Buckets {
		most = max(most, s.Buckets[i].attempts())
	}
	for i := range s.Buckets {
		b := &s.Buckets[i]
		if b.attempts() == 0 {
			continue
		}
		good := height * float64(b.Succeeded) / float64(most)
		bad := height * float64(b.Failed) / float64(most)
		if b.Failed > 0 && bad < 3 {
			bad = 3
			good = math.Min(good, height-bad)
		}
		if b.Succeeded > 0 && good < 1.5 {
			good = 1.5
		}
		c.Bars = append(c.Bars, bar{X: step * float64(i), Width: step - 1.5,
			GoodY: round(height - good), GoodHeight: round(good),
			BadY: round(math.Max(0, height-good-bad)), BadHeight: round(bad)})
	}
	t := s.Total()
	c.Summary = fmt.Sprintf("Last 24 hours: %s delivered, %s failed attempts", number(t.Succeeded),
		number(t.Failed))
	return c
}

// niceTop returns the next number that is 2, 4 or 10 times a power of ten.
func niceTop(most int64) int64 {
	for power := int64(1); power < math.MaxInt64/20; power *= 10 {
		for _, n := range []int64{2, 4, 10} {
			if n*power >= most {
				return n * power
			}
		}
	}
	return most
}

// compact writes a number in few characters.
func compact(n int64) string {
	for _, unit := range []struct {
		size int64
		name string
	}{{1_000_000_000, "G"}, {1_000_000, "M"}, {1_000, "k"}} {
		if n >= unit.size {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/float64(unit.size)), ".0") + unit.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func round(v float64) float64 { return math.Round(v*100) / 100 }
