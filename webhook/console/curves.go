package console

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// curves is a chart of one or two lines over the buckets of a series.
type curves struct {
	Width, Height float64
	Lines         []gridLine
	Curves        []curve
	Hits          []hit
	Ticks         []hit
	Summary       string
	Empty         bool
	// Unknown says, in words, of how much of the time nothing is known. Empty if that is none of it.
	Unknown string
}

// curve is a line. Its Path has a gap where a bucket has no value.
type curve struct {
	Class, Path string
	Dots        []dot
}

type dot struct{ X, Y float64 }

// hit is an area with a text, or a text at X.
type hit struct {
	X, Width float64
	Label    string
}

const curvesWidth = 480.0

// newCurves has the ticks and the areas that say the values of each bucket.
func (s *series) newCurves(label func(b *bucket) string) *curves {
	c := &curves{Width: curvesWidth, Height: chartHeight, Empty: true}
	step := (curvesWidth - chartLeft) / float64(len(s.Buckets))
	every := max(1, len(s.Buckets)/4)
	for i := range s.Buckets {
		b := &s.Buckets[i]
		x := chartLeft + step*float64(i)
		if text := label(b); text != "" {
			c.Hits = append(c.Hits, hit{round(x), round(step), s.name(b.At) + ": " + text})
			c.Empty = false
		}
		if (len(s.Buckets)-1-i)%every == 0 {
			c.Ticks = append(c.Ticks, hit{X: round(x + step/2), Label: s.tick(b.At)})
		}
	}
	return c
}

// add adds the line of a value of each bucket, from 0 at the bottom to 1 at the top. NaN is none.
func (c *curves) add(class string, s *series, value func(b *bucket) float64) {
	plot := chartHeight - chartBottom - chartTop
	step := (curvesWidth - chartLeft) / float64(len(s.Buckets))
	line := curve{Class: class}
	var path strings.Builder
	command := "M"
	for i := range s.Buckets {
		v := value(&s.Buckets[i])
		if math.IsNaN(v) {
			command = "M"
			continue
		}
		at := dot{round(chartLeft + step*(float64(i)+0.5)), round(chartTop + plot*(1-min(max(v, 0), 1)))}
		path.WriteString(command + strconv.FormatFloat(at.X, 'f', -1, 64) + " " +
			strconv.FormatFloat(at.Y, 'f', -1, 64))
		line.Dots = append(line.Dots, at)
		command = "L"
	}
	line.Path = path.String()
	c.Curves = append(c.Curves, line)
}

// grid draws the lines of the bottom, the middle and the top.
func (c *curves) grid(labels ...string) {
	plot := chartHeight - chartBottom - chartTop
	for i, label := range labels {
		c.Lines = append(c.Lines,
			gridLine{round(chartTop + plot*(1-float64(i)/float64(len(labels)-1))), label})
	}
}

// RateChart returns the share of the attempts that succeeded as a line. It does not begin at 0 % if
// all is well, so that a small dip is seen.
func (s *series) RateChart() *curves {
	c := s.newCurves(func(b *bucket) string {
		if b.NoRate() {
			return ""
		}
		return percent(b.Rate()) + " of " + number(b.attempts())
	})
	lowest := 1.0
	for i := range s.Buckets {
		if !s.Buckets[i].NoRate() {
			lowest = min(lowest, s.Buckets[i].Rate())
		}
	}
	bottom := 0.0
	for _, from := range []float64{0.5, 0.8, 0.9, 0.98} {
		if lowest > from {
			bottom = from
		}
	}
	label := func(share float64) string { return strconv.FormatFloat(share*100, 'f', -1, 64) + "\u202f%" }
	c.grid(label(bottom), label(math.Round((bottom+1)*500)/1000), label(1))
	c.add("good", s, func(b *bucket) float64 {
		return (b.Rate() - bottom) / (1 - bottom)
	})
	t := s.Total()
	c.Summary = "Attempts that succeeded: " + percent(t.Rate()) + ", at worst " + percent(lowest)
	return c
}

// DurationChart returns how long half of the attempts took, and 95 % of them.
func (s *series) DurationChart() *curves {
	c := s.newCurves(func(b *bucket) string {
		if b.attempts() == 0 {
			return ""
		}
		return duration(b.P50()) + ", 95 % within " + duration(b.P95())
	})
	var longest time.Duration
	for i := range s.Buckets {
		longest = max(longest, s.Buckets[i].P95())
	}
	top := time.Duration(niceTop(max(1, longest.Milliseconds()))) * time.Millisecond
	c.grid("0", duration(top/2), duration(top))
	of := func(d func(b *bucket) time.Duration) func(b *bucket) float64 {
		return func(b *bucket) float64 {
			if b.attempts() == 0 {
				return math.NaN()
			}
			return float64(d(b)) / float64(top)
		}
	}
	c.add("muted", s, of(func(b *bucket) time.Duration { return b.P95() }))
	c.add("accent", s, of(func(b *bucket) time.Duration { return b.P50() }))
	t := s.Total()
	c.Summary = fmt.Sprintf("Time of an attempt: half within %s, 95 %% within %s", duration(t.P50()),
		duration(t.P95()))
	return c
}

// WaitingChart returns how much was waiting. Hours that were not counted have no line.
func (s *series) WaitingChart() *curves {
	text := func(h *webhook.HourlyBacklog) string {
		if h.More {
			return number(h.Waiting) + " or more"
		}
		return number(h.Waiting)
	}
	c := s.newCurves(func(b *bucket) string {
		if !b.Counted {
			return ""
		}
		return text(&b.Backlog) + " waiting"
	})
	most := s.mostBacklog()
	top := niceTop(max(1, most.Waiting))
	c.grid("0", compact(top/2), compact(top))
	c.addCounted(s, func(b *webhook.HourlyBacklog) float64 { return float64(b.Waiting) / float64(top) })
	largest := "at most " + text(&most)
	if most.More {
		largest = text(&most)
	}
	c.Summary = joined("Waiting deliveries: "+largest, c.Unknown)
	return c
}

// AgeChart returns how long the oldest due delivery had been waiting.
func (s *series) AgeChart() *curves {
	c := s.newCurves(func(b *bucket) string {
		switch {
		case !b.Counted:
			return ""
		case b.Backlog.OldestDueAge == 0:
			return "nothing was due"
		}
		return "due for " + age(b.Backlog.OldestDueAge)
	})
	longest := s.mostBacklog().OldestDueAge
	top, labels := ageAxis(longest)
	c.grid(labels...)
	c.addCounted(s, func(b *webhook.HourlyBacklog) float64 {
		return float64(b.OldestDueAge) / float64(top)
	})
	c.Summary = joined("Age of the oldest due delivery: at most "+age(longest), c.Unknown)
	return c
}

// addCounted adds the curve of what was counted of the backlog.
func (c *curves) addCounted(s *series, value func(b *webhook.HourlyBacklog) float64) {
	c.add("accent", s, func(b *bucket) float64 {
		if !b.Counted {
			return math.NaN()
		}
		return value(&b.Backlog)
	})
	c.Unknown = s.notCounted()
}

// mostBacklog returns the largest numbers of all buckets.
func (s *series) mostBacklog() (most webhook.HourlyBacklog) {
	for i := range s.Buckets {
		most.Add(&s.Buckets[i].Backlog)
	}
	return most
}

// notCounted says in words of how much of the series nothing is known.
func (s *series) notCounted() string {
	n := 0
	for i := range s.Buckets[:max(0, len(s.Buckets)-1)] { // the last one has just begun
		if !s.Buckets[i].Counted {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	unit := "hours"
	if s.Step >= 24*time.Hour {
		unit = "days"
	}
	return fmt.Sprintf("Not known for %d of these %d %s: it was not counted then.", n,
		len(s.Buckets), unit)
}

func joined(sentence, more string) string {
	if more == "" {
		return sentence
	}
	return sentence + ". " + more
}

// ages are the units in which an age is written, with the age up to which each is used.
var ages = []struct {
	unit, most time.Duration
	name       string
}{
	{time.Millisecond, 2 * time.Second, "ms"}, {time.Second, 2 * time.Minute, "s"},
	{time.Minute, 2 * time.Hour, "min"}, {time.Hour, 48 * time.Hour, "h"},
	{24 * time.Hour, math.MaxInt64, "d"},
}

// ageAxis returns what the top of a chart of ages stands for, and the labels of the bottom, the middle
// and the top: whole numbers of one unit.
func ageAxis(longest time.Duration) (top time.Duration, labels []string) {
	for _, a := range ages {
		n := niceTop(max(1, int64((longest+a.unit-1)/a.unit)))
		if top = time.Duration(n) * a.unit; top <= a.most {
			unit := "\u202f" + a.name
			return top, []string{"0", strconv.FormatInt(n/2, 10) + unit, strconv.FormatInt(n, 10) + unit}
		}
	}
	return top, nil
}

// age writes how long something has been waiting, in one unit.
func age(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	for _, a := range ages {
		if d <= a.most {
			return strconv.FormatInt(int64(d/a.unit), 10) + "\u202f" + a.name
		}
	}
	return ""
}

// delays says how long the latest deliveries waited for their first attempt.
type delays struct {
	Count    int
	P50, P95 time.Duration
}

// delaysOf leaves out deliveries that were not attempted yet.
func delaysOf(latest []webhook.Delivery) (d delays) {
	var all []time.Duration
	for i := range latest {
		if a := latest[i].Attempts; len(a) > 0 {
			all = append(all, max(0, a[0].StartedAt.Sub(latest[i].CreatedAt)))
		}
	}
	if d.Count = len(all); d.Count > 0 {
		slices.Sort(all)
		d.P50, d.P95 = all[(d.Count+1)/2-1], all[(d.Count*95+99)/100-1]
	}
	return d
}
