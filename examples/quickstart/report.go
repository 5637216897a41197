package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/webhook"
)

// A report prints the story and remembers what did not happen.
type report struct {
	out    io.Writer
	scenes int
	checks int
	missed []error
}

func (r *report) printf(format string, args ...any) { _, _ = fmt.Fprintf(r.out, format, args...) }

func (r *report) scene(title string) {
	r.scenes++
	r.printf("\n%d. %s\n", r.scenes, title)
}

// check prints what happened, or that it did not.
func (r *report) check(happened bool, format string, args ...any) {
	r.checks++
	what := fmt.Sprintf(format, args...)
	if happened {
		r.printf("   ✓ %s\n", what)
		return
	}
	r.printf("   ✗ did not happen: %s\n", what)
	r.missed = append(r.missed, errors.New("did not happen: "+what))
}

// err lists what did not happen; nil if everything did.
func (r *report) err() error { return errors.Join(r.missed...) }

func (r *report) subscription(sub *webhook.Subscription) {
	r.printf("   subscription  %s %q\n", sub.ID, sub.Name)
	r.printf("                 %s\n", strings.Trim(fmt.Sprint(sub.EventTypes), "[]"))
}

// deliveries prints each delivery with its attempts, the oldest first. The time
// after the status is from the emit to the end, that of an attempt is the
// attempt's own.
func (r *report) deliveries(deliveries []webhook.Delivery) {
	for _, d := range slices.Backward(deliveries) {
		r.printf("   %-28s  %-7s  %s  %s  after %s\n", d.EventType, d.Channel, d.EventID, d.Status,
			milliseconds(d.SettledAt.Sub(d.CreatedAt)))
		for _, a := range d.Attempts {
			r.printf("     attempt %d  %s  %s\n", a.Number, status(a), milliseconds(a.Duration))
		}
	}
}

func (r *report) summary(emitted int, c *consumer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.printf("\n%d events emitted, %d handled, %d failed attempts, %d duplicate. %d of %d checks passed.\n",
		emitted, c.outcomes[receiver.Handled], c.outcomes[receiver.Failed],
		c.outcomes[receiver.Duplicate],
		r.checks-len(r.missed), r.checks)
}

// statuses lists the status of every attempt: "503 503 200".
func statuses(deliveries []webhook.Delivery) string {
	var list []string
	for _, d := range deliveries {
		for _, a := range d.Attempts {
			list = append(list, status(a))
		}
	}
	return strings.Join(list, " ")
}

// status is a dash where a channel has no status: a text message may go to
// several numbers, with an answer for each.
func status(a webhook.Attempt) string {
	if a.StatusCode == 0 {
		return "—"
	}
	return strconv.Itoa(a.StatusCode)
}

// succeeded counts the deliveries that came to a good end.
func succeeded(deliveries []webhook.Delivery) int {
	n := 0
	for _, d := range deliveries {
		if d.Status == webhook.StatusSucceeded {
			n++
		}
	}
	return n
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) + " ms"
}
