package sqltest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// ReadTails reads what was emitted to a subscription and the attempts of its deliveries, each from a
// named position on. It says each record with its position, acknowledges each page, and says that it
// has. It ends with ctx or, unless it is live, when it has read all.
func ReadTails(
	ctx context.Context, d *dispatch.Dispatcher, subscriptionID string, live bool,
	say func(what, id string),
) error {
	ends := make(chan error, 2)
	for _, results := range []bool{false, true} {
		go func() { ends <- readTail(ctx, d, subscriptionID, results, live, say) }()
	}
	err := <-ends
	if err == nil {
		err = <-ends
	}
	return err
}

func readTail(
	ctx context.Context, d *dispatch.Dispatcher, subscriptionID string, results, live bool,
	say func(what, id string),
) error {
	kind, wait := "event", time.Duration(0)
	if results {
		kind = "result"
	}
	if live {
		wait = dispatch.Forever
	}
	q := webhook.TailQuery{SubscriptionID: subscriptionID, Results: results, WithoutPayload: true, Limit: 7}
	list, err := d.Positions(ctx, "", subscriptionID)
	if err != nil {
		return err
	}
	for _, p := range list {
		if p.Name == kind {
			q.After = p.Position
		}
	}
	r, err := d.OpenTail(q)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		page, err := r.Next(ctx, wait)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case len(page.Records) == 0 && !live && !page.More:
			return nil
		case len(page.Records) == 0:
			continue
		}
		var last webhook.Position
		for i := range page.Records {
			record := &page.Records[i]
			key := record.Delivery.EventID
			if results {
				key = fmt.Sprintf("%s/%d", record.Delivery.ID, record.Result.Attempt.Number)
			}
			last = record.Position
			say(kind, last.String()+" "+key)
		}
		if _, err := d.Acknowledge(ctx, "", subscriptionID, kind, last); err != nil {
			return err
		}
		say(kind+"-acknowledged", last.String())
	}
}

// Readings is what processes that call ReadTails have said, one after the other.
type Readings struct {
	mu           sync.Mutex
	acknowledged map[string]string          // positions, by kind
	read         map[string]map[string]bool // records, by kind
	again        []string                   // what was read although it had been acknowledged
}

// Heard takes what a process has said, and reports whether it is one of these records.
func (r *Readings) Heard(what, id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.read == nil {
		r.acknowledged = make(map[string]string)
		r.read = map[string]map[string]bool{"event": {}, "result": {}}
	}
	if kind, ok := strings.CutSuffix(what, "-acknowledged"); ok {
		r.acknowledged[kind] = max(r.acknowledged[kind], id)
		return true
	}
	records := r.read[what]
	if records == nil {
		return false
	}
	position, key, _ := strings.Cut(id, " ")
	if position <= r.acknowledged[what] {
		r.again = append(r.again, what+" "+id)
	}
	records[key] = true
	return true
}

// Require fails the test unless exactly these events and attempts have been read, and none again
// after it had been acknowledged.
func (r *Readings) Require(t testing.TB, events map[string]bool, deliveries []webhook.Delivery) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	assert.Empty(t, r.again, "what was acknowledged is not read again")
	missed := 0
	for id := range events {
		if !r.read["event"][id] {
			missed++
		}
	}
	assert.Zero(t, missed, "no event is missed, of %d", len(events))
	attempts := 0
	for _, d := range deliveries {
		for _, a := range d.Attempts {
			attempts++
			if !r.read["result"][fmt.Sprintf("%s/%d", d.ID, a.Number)] {
				missed++
			}
		}
	}
	assert.Zero(t, missed, "no attempt is missed, of %d", attempts)
	assert.Len(t, r.read["result"], attempts, "no attempt is read that was not made")
	t.Logf("%d events and %d attempts were read", len(r.read["event"]), attempts)
}
