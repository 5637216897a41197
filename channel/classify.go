package channel

import (
	"net/http"
	"strings"
	"time"
)

// MaxRetryAfter bounds what an endpoint can ask for with Retry-After, so that a mistake there does
// not delay a delivery by more than a day.
const MaxRetryAfter = 24 * time.Hour

// Classify returns what the status of an HTTP answer means for a delivery: nil or an *Error. All
// HTTP channels share this table:
//
//	2xx                          success       nil
//	3xx                          Retry         a redirect is a failed attempt, and is never followed
//	410 Gone                     Disable       the delivery is dead, and its endpoint is disabled
//	429, 503 with Retry-After    Wait          that long, MaxRetryAfter at most
//	any other                    Retry         after the backoff, until the retry policy gives up
//
// A 404 or a 401 is retried too, because endpoints answer like this for a while when they are being
// deployed, and a dead delivery has to be replayed by hand.
//
// header may be nil. now is the time of the answer, to which a date in Retry-After is compared.
func Classify(status int, header http.Header, now time.Time) error {
	switch {
	case isSuccess(status):
		return nil
	case status >= 300 && status <= 399:
		return &Error{Action: Retry, Class: ClassRedirect, StatusCode: status}
	case status == http.StatusGone:
		return &Error{Action: Disable, Class: ClassStatus, StatusCode: status}
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		if wait := RetryAfter(header, now); wait > 0 {
			return &Error{Action: Wait, Class: ClassStatus, StatusCode: status, RetryAfter: wait}
		}
	}
	return &Error{Action: Retry, Class: ClassStatus, StatusCode: status}
}

func isSuccess(status int) bool { return status >= 200 && status <= 299 }

// RetryAfter reads the Retry-After header in both of its forms, a number of seconds or an HTTP date
// (RFC 9110, section 10.2.3). It returns zero if the header is absent, invalid or in the past, and
// never more than MaxRetryAfter.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.Trim(header.Get("Retry-After"), " \t")
	if value == "" {
		return 0
	}
	if isDigits(value) {
		return retryAfterSeconds(value)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}

// retryAfterSeconds converts a run of digits of any length.
func retryAfterSeconds(digits string) time.Duration {
	const limit = int64(MaxRetryAfter / time.Second)
	var seconds int64
	for i := range len(digits) {
		seconds = seconds*10 + int64(digits[i]-'0')
		if seconds >= limit {
			return MaxRetryAfter
		}
	}
	return time.Duration(seconds) * time.Second
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
