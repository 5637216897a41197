package dispatch

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
)

func TestRateOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		perSecond float64
		burst     int
		want      fairqueue.RateLimit
	}{
		{0, 0, fairqueue.RateLimit{}},
		{-1, 5, fairqueue.RateLimit{}},
		{math.NaN(), 5, fairqueue.RateLimit{}},
		{0.5, 0, fairqueue.RateLimit{PerSecond: 0.5, Burst: 1}},
		{2e9, 0, fairqueue.RateLimit{PerSecond: 10_000, Burst: 10_000}},
		{math.Inf(1), math.MaxInt, fairqueue.RateLimit{PerSecond: 10_000, Burst: 10_000}},
	} {
		can := channel.Capabilities{AttemptsPerSecond: c.perSecond, AttemptBurst: c.burst}
		assert.Equal(t, c.want, rateOf(nil, can), c.perSecond)
		own := &webhook.RateLimit{PerSecond: 3, Burst: 4}
		assert.Equal(t, fairqueue.RateLimit{PerSecond: 3, Burst: 4}, rateOf(own, can))
	}
}
