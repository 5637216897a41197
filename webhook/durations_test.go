package webhook_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/webhook"
)

func TestDurationsHaveABucketForEachBound(t *testing.T) {
	t.Parallel()
	bounds := webhook.DurationBounds()
	var d, want webhook.Durations
	assert.Len(t, d, len(bounds)+1)
	for i, bound := range bounds {
		d.Count(bound)
		want[i]++
		d.Count(bound + 1)
		want[i+1]++
	}
	d.Count(0)
	want[0]++
	assert.Equal(t, want, d)
	twice := d
	twice.Add(&d)
	for i := range d {
		assert.Equal(t, 2*d[i], twice[i])
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	counted := func(took ...time.Duration) *webhook.Durations {
		var d webhook.Durations
		for _, each := range took {
			d.Count(each)
		}
		return &d
	}
	const ms = time.Millisecond
	for name, test := range map[string]struct {
		counted *webhook.Durations
		q       float64
		want    time.Duration
	}{
		"of nothing":             {counted(), 0.5, 0},
		"the middle of a bucket": {counted(15*ms, 20*ms), 0.5, 17500 * time.Microsecond},
		"the end of a bucket":    {counted(15*ms, 20*ms, 400*ms, 400*ms), 0.5, 25 * ms},
		"an empty bucket":        {counted(time.Millisecond, 400*ms), 0.75, 375 * ms},
		"more than the last":     {counted(time.Hour), 0.5, 10 * time.Second},
		"all":                    {counted(15*ms, 60*ms), 1, 100 * ms},
		"more than all":          {counted(15*ms, 60*ms), 7, 100 * ms},
		"none":                   {counted(15*ms, 60*ms), -1, 10 * ms},
	} {
		assert.Equal(t, test.want, test.counted.Quantile(test.q), name)
	}
}
