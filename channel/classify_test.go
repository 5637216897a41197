package channel_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
)

var noon = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// Every status there can be, with and without a Retry-After that asks for a
// minute.
func TestClassifyEveryStatus(t *testing.T) {
	t.Parallel()
	asking := http.Header{"Retry-After": {"60"}}
	for status := -1; status <= 1000; status++ {
		for _, header := range []http.Header{nil, {}, asking} {
			err := channel.Classify(status, header, noon)
			if status/100 == 2 {
				require.NoError(t, err, "status %d", status)
				continue
			}
			var got *channel.Error
			require.ErrorAs(t, err, &got, "status %d", status)

			want := channel.Error{Action: channel.Retry, Class: channel.ClassStatus, StatusCode: status}
			switch {
			case status/100 == 3:
				want.Class = channel.ClassRedirect
			case status == 410:
				want.Action = channel.Disable
			case status == 429 || status == 503:
				if header.Get("Retry-After") != "" {
					want.Action, want.RetryAfter = channel.Wait, time.Minute
				}
			}
			require.Equal(t, want, *got, "status %d, header %v", status, header)
			require.Equal(t, want.Action != channel.Disable, got.Retryable(), "status %d", status)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	date := func(d time.Duration) string { return noon.Add(d).Format(http.TimeFormat) }
	tests := []struct {
		value string
		want  time.Duration
	}{
		{"", 0},
		{"0", 0},
		{"1", time.Second},
		{"120", 2 * time.Minute},
		{"000000000000000000000000120", 2 * time.Minute},
		{"  30\t", 30 * time.Second},
		{"86399", channel.MaxRetryAfter - time.Second},
		{"86400", channel.MaxRetryAfter},
		{"86401", channel.MaxRetryAfter},
		{"9223372036854775807", channel.MaxRetryAfter},
		{"9223372036854775808", channel.MaxRetryAfter},
		{strings.Repeat("9", 5000), channel.MaxRetryAfter},
		{"-1", 0},
		{"+1", 0},
		{"1.5", 0},
		{"1e3", 0},
		{"0x10", 0},
		{"1 2", 0},
		{"1s", 0},
		{"१२", 0},
		{"soon", 0},
		{"NaN", 0},
		{"\x00", 0},
		{date(90 * time.Second), 90 * time.Second},
		{date(-time.Second), 0},
		{date(0), 0},
		{date(30 * 24 * time.Hour), channel.MaxRetryAfter},
		{noon.Add(time.Minute).Format("Monday, 02-Jan-06 15:04:05 GMT"), time.Minute}, // RFC 850
		{noon.Add(time.Minute).Format(time.ANSIC), time.Minute},
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"Fri, 31 Dec 9999 23:59:59 GMT", channel.MaxRetryAfter}, // further off than a Duration holds
		{"Mon, 01 Jan 0001 00:00:00 GMT", 0},
		{"Thu, 32 Jan 2026 12:00:00 GMT", 0},
		{noon.Add(time.Minute).Format(time.RFC3339), 0}, // not one of HTTP's forms
	}
	for _, tt := range tests {
		got := channel.RetryAfter(http.Header{"Retry-After": {tt.value}}, noon)
		assert.Equal(t, tt.want, got, "Retry-After: %.40q", tt.value)
	}
	assert.Zero(t, channel.RetryAfter(nil, noon), "no header at all")
	assert.Equal(t, time.Second, channel.RetryAfter(http.Header{"Retry-After": {"1", "2"}}, noon),
		"the first line counts")
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "1", "120", "-1", "99999999999999999999",
		"Thu, 15 Jan 2026 12:01:00 GMT", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := channel.RetryAfter(http.Header{"Retry-After": {value}}, noon)
		if got < 0 || got > channel.MaxRetryAfter {
			t.Fatalf("Retry-After %q gave %s", value, got)
		}
	})
}

func TestError(t *testing.T) {
	t.Parallel()
	cause := errors.New("no such host")

	e := &channel.Error{Class: channel.ClassDNS, Err: cause}
	assert.Equal(t, "channel: dns: no such host", e.Error())
	assert.ErrorIs(t, e, cause)
	assert.True(t, e.Retryable(), "an Error that does not say is worth another try")
	assert.False(t, e.Timeout())

	e = &channel.Error{Action: channel.Wait, Class: channel.ClassStatus, StatusCode: 503,
		RetryAfter: time.Minute}
	assert.Equal(t, "channel: status 503 (retry after 1m0s)", e.Error())
	assert.True(t, e.Retryable())

	assert.False(t, (&channel.Error{Action: channel.Permanent}).Retryable())
	assert.False(t, (&channel.Error{Action: channel.Disable}).Retryable())
	assert.True(t, (&channel.Error{Class: channel.ClassTimeout}).Timeout())
	assert.Equal(t, "channel: unknown", (&channel.Error{}).Error())

	assert.Nil(t, channel.AsError(nil))
	assert.Same(t, e, channel.AsError(errors.Join(cause, e)))
	var nilError *channel.Error
	assert.ErrorContains(t, channel.AsError(nilError), "nil *channel.Error",
		"a mistake that must not end in a panic")
	assert.Equal(t, channel.AsError(nilError).Error(), nilError.Error())
	assert.NotErrorIs(t, nilError, cause)
	plain := channel.AsError(cause)
	assert.True(t, plain.Retryable(), "an error that is none of ours is retried")
	assert.Equal(t, channel.ClassUnknown, plain.Class)
	assert.ErrorIs(t, plain, cause)
}

func TestActionString(t *testing.T) {
	t.Parallel()
	want := map[channel.Action]string{
		channel.Retry: "retry", channel.Wait: "wait", channel.Permanent: "permanent",
		channel.Disable: "disable", channel.Success: "success", channel.Action(9): "action(9)",
	}
	for action, s := range want {
		assert.Equal(t, s, action.String())
	}
}
