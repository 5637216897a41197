package sqlstore

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPlacesBetween(t *testing.T) {
	t.Parallel()
	p := places{ids: []int64{3, 5, 9}, fresh: []int64{30, 50, 90}, retried: []int64{31, 51, 91}}
	for _, c := range []struct {
		from, to int64
		ids      []int64
	}{
		{0, math.MaxInt64, []int64{3, 5, 9}},
		{2, 9, []int64{3, 5, 9}},
		{3, 8, []int64{5}},
		{4, 5, []int64{5}},
		{5, 5, []int64{}},
		{9, math.MaxInt64, []int64{}},
		{9, 3, []int64{}},
	} {
		found := p.between(c.from, c.to)
		assert.Equal(t, c.ids, found.ids, "after %d, up to %d", c.from, c.to)
		for _, id := range found.ids {
			assert.Equal(t, [2]int64{10 * id, 10*id + 1}, found.of(id))
		}
	}
	assert.Equal(t, [2]int64{math.MinInt64, math.MinInt64}, p.of(4), "of an endpoint that is unknown")
}

func TestStarts(t *testing.T) {
	t.Parallel()
	const second = secondMicros
	now := 1000 * second
	var s starts
	// A claim that reads few dead entries changes nothing.
	_, count := s.begin(now)
	require.True(t, count)
	_, _, look := s.toLook(now, maxDead)
	require.False(t, look)
	_, count = s.begin(now + second/2)
	require.False(t, count, "they are counted once a second")

	// After one that reads many, the process looks at all entries, then once a second.
	now += second
	_, count = s.begin(now)
	require.True(t, count)
	from, full, look := s.toLook(now, maxDead+1)
	require.True(t, look)
	require.True(t, full)
	require.Empty(t, from.ids)
	latest := now - startsLookback
	found := places{ids: []int64{7, 8}, fresh: []int64{latest, 10}, retried: []int64{20, latest}}
	s.looked(found, true)
	from, count = s.begin(now)
	require.Equal(t, found, from)
	require.False(t, count)
	_, _, look = s.toLook(now+second-1, 0)
	require.False(t, look)

	// What is due earlier than a start moves it back, for two looks.
	s.written(latest)
	require.Equal(t, found, s.current())
	s.written(15)
	moved := places{ids: []int64{7, 8}, fresh: []int64{15, 10}, retried: []int64{15, 15}}
	require.Equal(t, moved, s.current())
	require.Equal(t, []int64{latest, 10}, found.fresh, "a claim that has begun keeps its own")
	for _, want := range []places{moved, found} {
		now += second
		_, _, look = s.toLook(now, 0)
		require.True(t, look)
		s.looked(found, true)
		require.Equal(t, want, s.current())
	}

	// A write during a look counts.
	now += second
	_, _, look = s.toLook(now, 0)
	require.True(t, look)
	s.written(15)
	s.looked(found, true)
	require.Equal(t, moved, s.current())

	// So does whatever is written after the clock was set back.
	from, _ = s.begin(now - 10*second)
	require.Empty(t, from.ids)

	// When a look at all entries finds few dead ones, claims read all of them again.
	now += 10 * second
	_, _, look = s.toLook(now, 0)
	require.True(t, look)
	s.looked(found, false)
	require.False(t, s.skips())
	require.Empty(t, s.current().ids)
	_, count = s.begin(now + second)
	require.True(t, count)
}

func TestNotified(t *testing.T) {
	t.Parallel()
	now := int64(1_700_000_000) * secondMicros
	for _, c := range []struct {
		payload string
		want    int64
	}{
		{notification(now - 5*secondMicros + 17), now - 5*secondMicros},
		{"", math.MinInt64},
		{"soon", math.MinInt64},
		{"-5", math.MinInt64},
		{"9223372036854775807", math.MinInt64},
	} {
		var s Store
		s.starts.toLook(now, maxDead+1)
		s.starts.looked(places{ids: []int64{7}, fresh: []int64{now - startsLookback},
			retried: []int64{now - startsLookback}}, true)
		s.Notified(c.payload)
		assert.Equal(t, [2]int64{c.want, c.want}, s.starts.current().of(7), c.payload)
	}
}
