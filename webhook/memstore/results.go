package memstore

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// results has what became of deliveries, the oldest first. The zero value is ready to use.
type results struct {
	kept []result
	// removed is how many were removed: the position of kept[0] is one more.
	removed int
}

type result struct {
	delivery *delivery
	status   webhook.Status
	number   int // of the attempt; 0 if there was none
	at       int64
}

func (r *results) add(d *delivery, status webhook.Status, number int, at time.Time) {
	r.kept = append(r.kept, result{d, status, number, micros(at)})
}

// end is the position after all results.
func (r *results) end() webhook.Position {
	return webhook.ResultPosition + webhook.Position(r.removed+len(r.kept))
}

// after returns how many of those that are kept are up to the position.
func (r *results) after(p webhook.Position) (int, error) {
	if p == 0 {
		return 0, nil
	}
	if p < webhook.ResultPosition || p > r.end() {
		return 0, webhook.ErrPosition
	}
	return max(int(p-webhook.ResultPosition)-r.removed, 0), nil
}

// position is the one just after kept[i].
func (r *results) position(i int) webhook.Position {
	return webhook.ResultPosition + webhook.Position(r.removed+i+1)
}

// prune removes the first results up to the last one before the time, among the next few: the time of
// a replay may be one that is yet to come.
func (r *results) prune(before time.Time) {
	const page = 32
	old := 0
	for i := 0; i < len(r.kept) && i < old+page; i++ {
		if r.kept[i].at < micros(before) {
			old = i + 1
		}
	}
	clear(r.kept[:old])
	r.kept, r.removed = r.kept[old:], r.removed+old
}

// tailResults is Tail for results.
func (s *Store) tailResults(q webhook.TailQuery) (webhook.TailPage, error) {
	page := webhook.TailPage{Next: q.After}
	from, err := s.results.after(q.After)
	if err != nil {
		return page, err
	}
	limit := q.PageSize()
	for i := from; i < len(s.results.kept); i++ {
		if page.More = i-from == maxTailed || len(page.Records) == limit; page.More {
			return page, nil
		}
		page.Next = s.results.position(i)
		if r := &s.results.kept[i]; r.tailed(&q) {
			page.Records = append(page.Records, r.record(page.Next))
		}
	}
	page.Next = s.results.end()
	return page, nil
}

// tailed reports whether the result is a record of the tail.
func (r *result) tailed(q *webhook.TailQuery) bool {
	d := r.delivery
	return !d.pruned && d.event.organizationID == q.OrganizationID &&
		(q.SubscriptionID == "" || q.SubscriptionID == d.endpoint.key.SubscriptionID) &&
		q.MatchesType(d.event.eventType) && (q.Since.IsZero() || r.at >= micros(q.Since))
}

func (r *result) record(p webhook.Position) webhook.TailRecord {
	out := webhook.TailResult{Status: r.status, At: moment(r.at)}
	if r.number > 0 {
		a := r.delivery.attempts[r.number-1]
		out.Attempt = &a
	}
	return webhook.TailRecord{Position: p, Delivery: r.delivery.snapshot(false), Result: &out}
}

// ResultsEnd implements [webhook.TailStore].
func (s *Store) ResultsEnd(ctx context.Context) (webhook.TailEnd, error) {
	if err := ctx.Err(); err != nil {
		return webhook.TailEnd{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return webhook.TailEnd{Position: s.results.end()}, nil
}

// resultNews is TailNews for results.
func (s *Store) resultNews(after webhook.Position) (webhook.TailNews, error) {
	from, err := s.results.after(after)
	if err != nil {
		return webhook.TailNews{}, err
	}
	last := min(len(s.results.kept), from+maxTailed)
	news := webhook.TailNews{Next: max(after, s.results.position(last-1)),
		More: last < len(s.results.kept)}
	seen := make(map[webhook.SubscriptionKey]bool)
	for i := from; i < last; i++ {
		d := s.results.kept[i].delivery
		key := webhook.SubscriptionKey{OrganizationID: d.event.organizationID,
			SubscriptionID: d.endpoint.key.SubscriptionID}
		if !seen[key] {
			seen[key] = true
			news.Subscriptions = append(news.Subscriptions, key)
		}
	}
	return news, nil
}
