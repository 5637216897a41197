package settings_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/settings"
)

func TestDefault(t *testing.T) {
	t.Parallel()
	n, s := 0, "mine"
	settings.Default(&n, 5)
	settings.Default(&s, "default")
	assert.Equal(t, 5, n)
	assert.Equal(t, "mine", s)
}

func TestAtLeast(t *testing.T) {
	t.Parallel()
	var p event.Problems
	settings.AtLeast(&p, "Workers", 1, 1)
	settings.AtLeast(&p, "Workers", 0, 1)
	settings.AtLeast(&p, "Timeout", -time.Second, time.Millisecond)
	settings.AtLeast(&p, "Jitter", math.NaN(), 0)
	assert.EqualError(t, p.Err(),
		"invalid: Workers: must be at least 1, is 0; Timeout: must be at least 1ms, is -1s; Jitter: must be at least 0, is NaN")
}
