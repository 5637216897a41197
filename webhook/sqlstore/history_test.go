package sqlstore

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func TestHistory(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 10, 8, 16, 9, 0, 123_456_000, time.UTC)
	attempts := []webhook.Attempt{
		{Number: 1, StartedAt: at, Duration: 12345 * time.Microsecond, StatusCode: 503, Class: "status",
			Error: "answered 503", Response: "try \"later\"\r\n\x00"},
		{Number: 2, StartedAt: at.Add(time.Hour), Class: "dns", Error: `no such host: a\b`},
		{Number: 3, StartedAt: at.Add(2 * time.Hour), StatusCode: 200, Response: "日本"},
	}
	var history strings.Builder
	for i := range attempts {
		history.WriteString(encodeAttempt(&attempts[i]))
	}
	got, err := decodeHistory([]byte(history.String()))
	require.NoError(t, err)
	require.Equal(t, attempts, got)

	got, err = decodeHistory(nil)
	require.NoError(t, err)
	require.Empty(t, got)

	_, err = decodeHistory([]byte("{}\nnot JSON\n"))
	require.ErrorContains(t, err, "attempt 2")
}

func FuzzAttempt(f *testing.F) {
	f.Add("timeout", "it took \"too\" long", "\x00\u2028\\n")
	f.Add("", "", "\xff\xfe")
	f.Fuzz(func(t *testing.T, class, message, response string) {
		line := encodeAttempt(&webhook.Attempt{Class: class, Error: message, Response: response})
		require.Equal(t, len(line)-1, strings.IndexByte(line, '\n'), "an attempt is one line")
		got, err := decodeHistory([]byte(line))
		require.NoError(t, err)
		require.Len(t, got, 1)
		valid := func(s string) string { return string([]rune(s)) } // invalid bytes as U+FFFD, one each
		require.Equal(t, []string{valid(class), valid(message), valid(response)},
			[]string{got[0].Class, got[0].Error, got[0].Response})
	})
}
