package sqlstore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/webhook"
)

// The history of a delivery is a text with one attempt a line, each a JSON
// object of its own, so that adding one is appending a line. An attempt's
// number is the number of its line.
type attemptLine struct {
	StartedAt int64  `json:"at"` // microseconds since 1970
	Duration  int64  `json:"us"` // microseconds
	Status    int    `json:"status"`
	Class     string `json:"class"`
	Error     string `json:"error"`
	Response  string `json:"response"`
}

// encodeAttempt writes by hand what json.Marshal would take ten times as long
// for: one of these is made for every attempt.
func encodeAttempt(a *webhook.Attempt) string {
	line := make([]byte, 0, 96+len(a.Error)+len(a.Response))
	line = append(line, `{"at":`...)
	line = strconv.AppendInt(line, micros(a.StartedAt), 10)
	line = append(line, `,"us":`...)
	line = strconv.AppendInt(line, a.Duration.Microseconds(), 10)
	if a.StatusCode != 0 {
		line = append(line, `,"status":`...)
		line = strconv.AppendInt(line, int64(a.StatusCode), 10)
	}
	for _, field := range [...]struct{ name, value string }{
		{`,"class":`, a.Class}, {`,"error":`, a.Error}, {`,"response":`, a.Response},
	} {
		if field.value != "" {
			line = appendJSONString(append(line, field.name...), field.value)
		}
	}
	return string(append(line, "}\n"...))
}

// appendJSONString adds s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD.
func appendJSONString(out []byte, s string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < 0x20:
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(s[i:])
			out = utf8.AppendRune(out, r)
			i += size
			continue
		default:
			out = append(out, c)
		}
		i++
	}
	return append(out, '"')
}

func decodeHistory(history []byte) ([]webhook.Attempt, error) {
	attempts := make([]webhook.Attempt, 0, bytes.Count(history, []byte{'\n'}))
	for line := range bytes.Lines(history) {
		var a attemptLine
		if err := json.Unmarshal(line, &a); err != nil {
			return nil, fmt.Errorf("attempt %d: %w", len(attempts)+1, err)
		}
		attempts = append(attempts, webhook.Attempt{
			Number:     len(attempts) + 1,
			StartedAt:  moment(a.StartedAt),
			Duration:   time.Duration(a.Duration) * time.Microsecond,
			StatusCode: a.Status,
			Class:      a.Class,
			Error:      a.Error,
			Response:   a.Response,
		})
	}
	return attempts, nil
}
