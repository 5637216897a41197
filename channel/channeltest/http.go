package channeltest

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
)

// httpRules are the rules of channels that speak HTTP.
func httpRules() []rule {
	return []rule{
		{
			name: "HTTPStatus",
			why: "One table says what a status means, channel.Classify: an operator who has learnt it for one channel " +
				"knows it for all. A service's own error in the body may say more; these answers have no body.",
			check: statusTable,
		},
		{
			name: "HTTPRedirect",
			why: "A redirect is a failed attempt and never followed: it would lead past the check of the URL, " +
				"and take the secret headers along.",
			check: redirectNotFollowed,
		},
		{
			name: "HTTPEcho",
			why: "Some endpoints answer with the request that they got. What is stored of an answer must not hold " +
				"the secrets that were in the request.",
			check: echoRedacted,
		},
	}
}

// statusTable sends to a server that answers with one status after the other.
func statusTable(t testing.TB, h *Harness) error {
	var status atomic.Int64
	var retryAfter atomic.Value
	retryAfter.Store("")
	c, err := h.Driver.Open(h.HTTP.Config(h.serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if v := retryAfter.Load().(string); v != "" {
			w.Header().Set("Retry-After", v)
		}
		w.WriteHeader(int(status.Load()))
	})))
	if err != nil {
		return err
	}
	var errs []error
	for code := 200; code <= 599; code++ {
		if code < 300 && h.HTTP.Accept != nil {
			continue // what it takes to be accepted is the service's own affair
		}
		for _, after := range []string{"", "120", "soon", "99999999999999999999",
			time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)} {
			if after != "" && code != 429 && code != 503 && code != 500 && code != 410 && code != 302 {
				continue
			}
			status.Store(int64(code))
			retryAfter.Store(after)
			result, err := c.Send(t.Context(), newMessage())
			want := channel.Classify(code, http.Header{"Retry-After": {after}}, time.Now())
			if e := sameVerdict(want, err); e != nil {
				errs = append(errs, fmt.Errorf("status %d, Retry-After %q: %w", code, after, e))
			}
			if result.StatusCode != code {
				errs = append(errs, fmt.Errorf("status %d: Result.StatusCode is %d", code, result.StatusCode))
			}
			errs = append(errs, h.secretIn("the error of status "+strconv.Itoa(code), err))
		}
	}
	return errors.Join(errs...)
}

// sameVerdict compares what Send returned with what the table says.
func sameVerdict(want, got error) error {
	w, g := channel.AsError(want), channel.AsError(got)
	switch {
	case w == nil && g == nil:
		return nil
	case w == nil:
		return fmt.Errorf("want success, got: %w", got)
	case g == nil:
		return fmt.Errorf("want action %s, got success", w.Action)
	case w.Action != g.Action:
		return fmt.Errorf("want action %s, got %s", w.Action, g.Action)
	case w.StatusCode != g.StatusCode:
		return fmt.Errorf("want StatusCode %d, got %d", w.StatusCode, g.StatusCode)
	case (w.RetryAfter - g.RetryAfter).Abs() > time.Minute: // dates are relative to now
		return fmt.Errorf("want RetryAfter %s, got %s", w.RetryAfter, g.RetryAfter)
	}
	return nil
}

func redirectNotFollowed(t testing.TB, h *Harness) error {
	var requests atomic.Int64
	elsewhere := h.serve(t, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
	for _, code := range []int{301, 302, 303, 307, 308} {
		c, err := h.Driver.Open(h.HTTP.Config(h.serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere, code)
		})))
		if err != nil {
			return err
		}
		_, err = c.Send(t.Context(), newMessage())
		if err == nil {
			return fmt.Errorf("a %d is no success", code)
		}
		if requests.Load() > 0 {
			return fmt.Errorf("a %d was followed", code)
		}
	}
	return nil
}

func echoRedacted(t testing.TB, h *Harness) error {
	var errs []error
	for _, code := range []int{200, 400, 500} {
		c, err := h.Driver.Open(h.HTTP.Config(h.serve(t, func(w http.ResponseWriter, r *http.Request) {
			request, _ := httputil.DumpRequest(r, true)
			quoted, _ := json.Marshal(string(request))
			w.WriteHeader(code)
			_, _ = fmt.Fprintf(w, "%s\n%s\n%s", request, quoted, html.EscapeString(string(request)))
		})))
		if err != nil {
			return err
		}
		result, err := c.Send(t.Context(), newMessage())
		errs = append(errs, h.checkResult(result), h.secretIn("the error", err))
	}
	return errors.Join(errs...)
}
