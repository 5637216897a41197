package dispatch

import (
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
)

// claimPace says how soon a claim is repeated, unless there is a reason to claim earlier.
type claimPace struct {
	poll    time.Duration // Config.PollInterval
	reclaim time.Duration // after a claim that finds nothing
}

// A claim that was asked for and found nothing is repeated after minReclaimWait, after twice that,
// and so on up to maxReclaimWait: the delivery may have been stored by a process whose clock is a
// little ahead, and not be due here yet.
const (
	minReclaimWait = 50 * time.Millisecond
	maxReclaimWait = time.Second
)

func newClaimPace(poll time.Duration) claimPace { return claimPace{poll: poll, reclaim: poll} }

// afterClaim returns how long to wait after a claim that took so many of at most limit deliveries.
func (p *claimPace) afterClaim(taken, limit int) time.Duration {
	switch taken {
	case limit:
		return 0
	case 0:
		return p.reclaim
	}
	return p.poll
}

// waited notes that the wait is over, and whether it was cut short because a claim was asked for.
func (p *claimPace) waited(signalled bool) {
	switch p.reclaim *= 2; {
	case signalled:
		p.reclaim = min(minReclaimWait, p.poll)
	case p.reclaim > maxReclaimWait || p.reclaim > p.poll:
		p.reclaim = p.poll
	}
}

// claimWait returns when a delivery is to be claimed again whose result was stored at a time, if
// that is not left to the next poll. What is due before the next poll is claimed when it is due, and
// a retry at once is claimed at once.
func claimWait(
	s *webhook.Settlement, at time.Time, poll time.Duration,
) (wait time.Duration, ok bool) {
	wait = s.DueAt.Sub(at)
	return wait, s.Status == webhook.StatusPending && wait < poll && (wait > 0 || s.Attempt != nil)
}

// claimRequest asks for what the budget allows.
func claimRequest(until time.Time, b fairqueue.ClaimBudget) webhook.ClaimRequest {
	return webhook.ClaimRequest{
		Until: until, Limit: b.Limit,
		PerOrganization: b.PerOrganization, PerEndpoint: b.PerEndpoint,
		SkipOrganizations: b.SkipOrganizations, Skip: endpoints(b.SkipEndpoints),
	}
}
