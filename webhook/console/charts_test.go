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
