package channel

import (
	"net/http"
	"strings"
	"time"
)

// MaxRetryAfter caps what an endpoint can ask for with Retry-After: a typing
// error there must not put a delivery off beyond the day.
const MaxRetryAfter = 24 * time.Hour

// Classify says what an HTTP answer means for a delivery. It is the one table
// that all HTTP channels share:
//
//	2xx                          success           nil
//	3xx                          Retry             a redirect is a failed attempt, never followed
//	410 Gone                     Deactivate        the delivery ends, the webhook is switched off
//	429, 503 with Retry-After    Wait              that long, capped at MaxRetryAfter
//	anything else                Retry             by the backoff, until the budget ends
//
// A 404 or a 401 is retried too: endpoints answer so for a while when they are
// being deployed, and an event that was given up is not easily had again.
//
// The error is nil or an *Error. header may be nil; now is the time of the
// answer, to which an HTTP date in Retry-After is compared.
func Classify(status int, header http.Header, now time.Time) error {
	switch {
	case isSuccess(status):
		return nil
	case status >= 300 && status <= 399:
		return &Error{Action: Retry, Class: ClassRedirect, StatusCode: status}
	case status == http.StatusGone:
		return &Error{Action: Deactivate, Class: ClassStatus, StatusCode: status}
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		if wait := RetryAfter(header, now); wait > 0 {
			return &Error{Action: Wait, Class: ClassStatus, StatusCode: status, RetryAfter: wait}
		}
	}
	return &Error{Action: Retry, Class: ClassStatus, StatusCode: status}
}

func isSuccess(status int) bool { return status >= 200 && status <= 299 }

// RetryAfter reads the Retry-After header in both of its forms, a number of
// seconds or an HTTP date (RFC 9110, section 10.2.3). It returns zero when the
// header is absent, makes no sense or lies in the past, and MaxRetryAfter at
// most.
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
