package monitor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A report that waits for a reason of its own does not put off one that waits for the store only.
func TestNextTry(t *testing.T) {
	t.Parallel()
	now := time.Now()
	after := func(wait time.Duration) outage { return outage{until: now.Add(wait)} }
	sound, other := &report{}, &report{outage: after(time.Minute)}
	m := Monitor{outage: after(time.Second)}
	assert.Zero(t, m.nextTry(now), "nothing waits")
	for _, queue := range [][]*report{{sound, other}, {other, sound}, {other, sound, other}} {
		m.queue = queue
		assert.Equal(t, time.Second, m.nextTry(now))
	}
	m.queue = []*report{other}
	assert.Equal(t, time.Minute, m.nextTry(now))
	m.outage = outage{}
	m.queue = []*report{sound}
	assert.Equal(t, time.Millisecond, m.nextTry(now), "never 0, which means not at all")
}
