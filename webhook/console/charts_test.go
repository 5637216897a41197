package console

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Charts of lines leave a gap where nothing happened, and show a small dip.
func TestCurves(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	s := newSeries(now, time.Hour, 4)
	assert.True(t, s.RateChart().Empty)
	assert.True(t, s.DurationChart().Empty)
	for hour, dead := range map[int]int64{9: 0, 10: 5, 12: 0} {
		h := webhook.HourlyStatistics{Hour: time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC)}
		h.Succeeded, h.Dead, h.Failed = 100-dead, dead, dead
		for range 100 {
			h.Durations.Count(30 * time.Millisecond)
		}
		s.add(&h)
	}
	rate := s.RateChart()
	assert.False(t, rate.Empty)
	assert.Len(t, rate.Hits, 3)
	assert.Len(t, rate.Curves[0].Dots, 3)
	assert.Equal(t, "M98.5 8L207.5 83M425.5 8", rate.Curves[0].Path, "no line over the empty hour")
	assert.Equal(t, "90\u202f%", rate.Lines[0].Label)
	assert.Contains(t, rate.Summary, "98.3\u202f%, at worst 95.0")
	assert.Contains(t, rate.Hits[1].Label, "95.0\u202f% of 100")
	took := s.DurationChart()
	assert.Len(t, took.Curves, 2)
	assert.Equal(t, "0", took.Lines[0].Label)

	at := func(ms int) webhook.Delivery {
		return webhook.Delivery{CreatedAt: now, Attempts: []webhook.Attempt{
			{StartedAt: now.Add(time.Duration(ms) * time.Millisecond)}, {StartedAt: now.Add(time.Hour)}}}
	}
	d := delaysOf([]webhook.Delivery{{CreatedAt: now}, at(30), at(-5), at(10)})
	assert.Equal(t, delays{3, 10 * time.Millisecond, 30 * time.Millisecond}, d)
}

// Charts of the backlog leave a gap where it was not counted, which is not the same as none waiting.
func TestBacklogCurves(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	s := newSeries(now, time.Hour, 4)
	assert.True(t, s.WaitingChart().Empty)
	assert.True(t, s.AgeChart().Empty)
	for hour, waiting := range map[int]int64{8: 1_000_000, 9: 0, 10: 1500, 12: 100_000} {
		s.addBacklog(&webhook.HourlyBacklog{Hour: time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC),
			Waiting: waiting, More: waiting >= 100_000,
			OldestDueAge: time.Duration(waiting) * 10 * time.Millisecond})
	}
	chart := s.WaitingChart()
	assert.False(t, chart.Empty)
	assert.Equal(t, []string{"0", "50k", "100k"}, labelsOf(chart))
	assert.Equal(t, "M98.5 158L207.5 155.75M425.5 8", chart.Curves[0].Path, "no line over 11:00")
	assert.Len(t, chart.Hits, 3)
	assert.Contains(t, chart.Hits[0].Label, ": 0 waiting")
	assert.Contains(t, chart.Hits[2].Label, ": 100\u202f000 or more waiting")
	assert.Equal(t, "Waiting deliveries: 100\u202f000 or more. Not known for 1 of these 4 hours: "+
		"it was not counted then.", chart.Summary)
	old := s.AgeChart()
	assert.Equal(t, []string{"0", "10\u202fmin", "20\u202fmin"}, labelsOf(old))
	assert.Contains(t, old.Hits[0].Label, ": nothing was due")
	assert.Contains(t, old.Hits[1].Label, ": due for 15\u202fs")
	assert.Contains(t, old.Summary, "at most 16\u202fmin. Not known")

	week := newSeries(now, 24*time.Hour, 7)
	for hour := range 7 * 24 {
		week.addBacklog(&webhook.HourlyBacklog{Hour: week.since().Add(time.Duration(hour) * time.Hour),
			Waiting: int64(hour), OldestDueAge: time.Duration(hour) * time.Hour})
	}
	chart = week.WaitingChart()
	assert.Contains(t, chart.Hits[0].Label, "Mon 23 Feb: 23 waiting", "the most of the day")
	assert.Empty(t, chart.Unknown)
	assert.Equal(t, "Waiting deliveries: at most 167", chart.Summary)
	assert.Equal(t, []string{"0", "5\u202fd", "10\u202fd"}, labelsOf(week.AgeChart()))
	for longest, top := range map[time.Duration]string{
		0: "2\u202fms", 900 * time.Millisecond: "1000\u202fms", 3 * time.Second: "4\u202fs",
		110 * time.Second: "2\u202fmin", 3 * time.Hour: "4\u202fh", 47 * time.Hour: "2\u202fd",
	} {
		_, labels := ageAxis(longest)
		assert.Equal(t, top, labels[2], longest)
	}
}

func labelsOf(c *curves) (labels []string) {
	for _, l := range c.Lines {
		labels = append(labels, l.Label)
	}
	return labels
}
