package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/monitor"
)

var doctorCommand = command{
	name: "doctor", short: "Look whether the service is well, and say what to do",
	long: `
Asks the management API, with the API key's own view: whether it answers and can
work, whether the clocks agree, what the key may do, which endpoints are
degraded or disabled, whether operational events arrive, how much waits and
since when, how much is dead and what that holds back, what died in the last 24
hours, for which paused webhooks deliveries wait, and which event types an
endpoint refuses.

With an operator's API key it looks at the service as well: its version, what
waits of all organizations, what delivers, whether the tables are those that it
needs, and which transactions in the database have been open for more than a
minute.

A check that has failed ends in exit code 1; warnings do not change the code. If
there is no answer, the code is that of the error, such as 3.`,
	example: `WEBHOOKS_URL=https://example.com webhooks doctor --key-file key`,
	setup: func(s *flagSet) action {
		var o connection
		o.declare(s)
		return func(ctx context.Context, a *app, _ []string) error { return a.doctor(ctx, o) }
	},
}

// The results of a check.
const (
	checkOK   = "ok"
	checkWarn = "warning"
	checkFail = "failed"
)

// check is one line of the answer of "doctor".
type check struct {
	Check  string `json:"check"`
	Result string `json:"result"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}

// doctor makes the checks in turn.
type doctor struct {
	*app
	client   *client.Client
	dates    *dateRecorder
	names    *nameCache
	about    *api.About // nil if the API cannot say
	webhooks []*webhook.Subscription
	dead     int64 // how many deliveries are dead now
	// waiting are those of the webhooks that are paused and have deliveries that wait.
	waiting []affected
	// failing are those of the webhooks of which attempts have failed in the last 24 hours.
	failing []failing
	failed  bool
}

// affected is a webhook, and how many of its deliveries a check is about.
type affected struct {
	*webhook.Subscription
	deliveries int64
}

type failing struct {
	*webhook.Subscription
	failed, attempts int64
}

// maxDoctorWebhooks bounds the webhooks whose statistics are asked for, one request each.
const maxDoctorWebhooks = 200

// maxDoctorRefusals bounds the webhooks of which refusals are looked for: those with the most failed
// attempts.
const maxDoctorRefusals = 20

func (a *app) doctor(ctx context.Context, o connection) error {
	transport, err := o.transport(a)
	if err != nil {
		return err
	}
	d := &doctor{app: a, dates: &dateRecorder{next: http.DefaultTransport}}
	transport.Transport = d.dates
	key, err := o.key(a)
	if err != nil {
		return err
	}
	if d.client, err = o.clientOn(transport, key); err != nil {
		return err
	}
	d.names = newNameCache(d.client)
	for _, step := range []func(context.Context) error{
		d.reachable, d.clock, d.apiKey, d.list, d.endpoints, d.notifications, d.backlog, d.lastDay,
		d.refusals, d.system,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if d.failed {
		return errNo
	}
	return nil
}

// report prints a check at once.
func (d *doctor) report(c check) error {
	d.failed = d.failed || c.Result == checkFail
	if d.json {
		if err := d.object(c); err != nil {
			return err
		}
		return d.flush()
	}
	label := map[string]string{
		checkOK: d.green(d.stdout, "ok     "), checkWarn: d.yellow(d.stdout, "warning"),
		checkFail: d.red(d.stdout, "FAILED "),
	}[c.Result]
	d.printf("%s  %s: %s\n", label, c.Check, visible(c.Detail))
	if c.Remedy != "" {
		d.printf("%s\n", wrap("         ", visible(c.Remedy)))
	}
	return d.flush()
}

// reachable asks for the health of the API, which asks its store.
func (d *doctor) reachable(ctx context.Context) error {
	start := time.Now()
	err := d.client.Health(ctx)
	took := time.Since(start)
	var answer *client.Error
	switch {
	case err == nil:
		return d.report(check{"api", checkOK, "it answers and reaches its store, in " + short(took), ""})
	case errors.As(err, &answer) && answer.StatusCode != http.StatusNotFound:
		return errors.Join(d.report(check{"api", checkFail, fmt.Sprintf("it answers %d: %s",
			answer.StatusCode, answer.Message), "Look into the log of the service: its store may be down."}),
			err)
	}
	return errors.Join(d.report(check{"api", checkFail, "no answer", ""}), err)
}

// The clocks may differ this much.
const clockTolerance = 2 * time.Second

func (d *doctor) clock(context.Context) error {
	off, ok := d.dates.off()
	if !ok {
		return d.report(check{"clock", checkWarn, "the answer has no Date header", ""})
	}
	detail := "this machine's clock agrees with the server's"
	if off.Abs() > clockTolerance {
		detail = fmt.Sprintf("the server's clock is %s ahead of this machine's", short(off))
		if off < 0 {
			detail = fmt.Sprintf("the server's clock is %s behind this machine's", short(-off))
		}
	}
	const remedy = "Synchronize both (NTP): receivers refuse signatures whose time is off by 5 minutes."
	switch {
	case off.Abs() >= signature.DefaultTolerance:
		return d.report(check{"clock", checkFail, detail, remedy})
	case off.Abs() > clockTolerance:
		return d.report(check{"clock", checkWarn, detail, remedy})
	}
	return d.report(check{"clock", checkOK, detail, ""})
}

// apiKey asks what the API key may do.
func (d *doctor) apiKey(ctx context.Context) error {
	about, err := d.client.About(ctx)
	switch {
	case errors.Is(err, webhook.ErrNotFound):
		return d.report(check{"api key", checkOK, "this version of the API does not say what it may do", ""})
	case err != nil:
		return errors.Join(d.report(check{"api key", checkFail, "what it may do cannot be found out", ""}),
			err)
	}
	d.about = about
	of := ""
	if about.OrganizationID != "" { // a service without tenants has none
		of = fmt.Sprintf(", of organization %q,", about.OrganizationID)
	}
	c := check{"api key", checkOK, fmt.Sprintf("%s%s has the role %s", about.Name, of, about.Role), ""}
	if about.Operator {
		c.Detail += ", as an operator"
	}
	if about.Reveal {
		c.Detail += ", and may see secrets"
	}
	if !about.ExpiresAt.IsZero() {
		left := time.Until(about.ExpiresAt)
		c.Detail += ", and expires in " + short(left)
		if left < expiresSoon {
			c.Result, c.Remedy = checkWarn, "Create another one: webhooks keys create."
		}
	}
	return d.report(c)
}

// expiresSoon is how long before an API key expires that is a warning.
const expiresSoon = 7 * 24 * time.Hour

// list lists the webhooks.
func (d *doctor) list(ctx context.Context) error {
	active, more := 0, false
	for sub, err := range d.client.Search(ctx, client.SubscriptionFilter{}) {
		if err != nil {
			return errors.Join(d.report(check{"webhooks", checkFail, "webhooks cannot be listed", ""}), err)
		}
		if len(d.webhooks) == maxDoctorWebhooks {
			more = true
			break
		}
		d.webhooks = append(d.webhooks, sub)
		d.names.known[sub.ID] = sub.Name
		if !sub.Paused {
			active++
		}
	}
	detail := fmt.Sprintf("%s, %d active", counted(len(d.webhooks), "webhook", "webhooks"), active)
	if more {
		detail = fmt.Sprintf("more than %d webhooks: the oldest %d are looked at below",
			maxDoctorWebhooks, maxDoctorWebhooks)
	}
	return d.report(check{"webhooks", checkOK, detail, ""})
}

// maxListed is how many endpoints are listed each.
const maxListed = 20

func (d *doctor) endpoints(ctx context.Context) error {
	n := 0
	for state, err := range d.client.UnhealthyEndpoints(ctx, "") {
		if err != nil {
			return err
		}
		if n++; n > maxListed {
			return d.report(check{"endpoints", checkWarn,
				fmt.Sprintf("there are more than %d degraded and disabled endpoints", maxListed), ""})
		}
		c := check{Check: "endpoint", Result: checkWarn, Remedy: "It is probed, and recovers by itself once " +
			"it answers."}
		name, err := d.names.of(ctx, state.SubscriptionID)
		if err != nil {
			return err
		}
		c.Detail = fmt.Sprintf("%s%s %s has been %s since %s", state.SubscriptionID, inBrackets(name),
			state.Channel, state.Health, stamp(state.Since))
		switch {
		case state.Cause != nil:
			c.Detail += ": " + causeOf(state.Cause)
		case state.ChangedBy != "":
			c.Detail += ", by " + state.ChangedBy
		}
		if !state.FailingSince.IsZero() {
			c.Detail += "; failing since " + stamp(state.FailingSince)
		}
		if last := state.LastFailure; last != nil {
			c.Detail += "; before that it failed from " + stamp(last.Since) + " until it answered or was " +
				"enabled, at " + stamp(last.Until)
		}
		if state.Health == webhook.Disabled {
			c.Result, c.Remedy = checkFail, "Nothing is delivered to it until a person enables it. Repair the "+
				"endpoint, then: webhooks endpoints enable "+state.SubscriptionID+" "+state.Channel+"."
		}
		if err := d.report(c); err != nil {
			return err
		}
	}
	if n == 0 {
		return d.report(check{"endpoints", checkOK, "none is degraded or disabled", ""})
	}
	return nil
}

// causeOf says in plain words why an endpoint is not healthy.
func causeOf(c *webhook.EndpointCause) string {
	return channel.Describe(channel.Class(c.Class), c.Error)
}

// notifications looks whether operational events reach those who have subscribed to them.
func (d *doctor) notifications(ctx context.Context) error {
	n, silent := 0, 0
	for _, sub := range d.webhooks {
		if !monitor.Notifies(sub) {
			continue
		}
		n++
		reason, err := d.whySilent(ctx, sub)
		if err != nil {
			return err
		}
		if reason == "" {
			continue
		}
		silent++
		if err := d.report(check{"notifications", checkFail, fmt.Sprintf("%s%s gets no operational "+
			"events: %s", sub.ID, inBrackets(sub.Name), reason), "Those who should get them do not learn what is broken. " +
			"See: webhooks deliveries list " + sub.ID + "."}); err != nil {
			return err
		}
	}
	if n > 0 && silent == 0 {
		return d.report(check{"notifications", checkOK, fmt.Sprintf("operational events reach %s",
			counted(n, "webhook", "webhooks")), ""})
	}
	return nil
}

func (d *doctor) whySilent(ctx context.Context, sub *webhook.Subscription) (string, error) {
	states, err := d.client.Endpoints(ctx, sub.ID)
	if err != nil {
		return "", orDeleted(err)
	}
	var latest []webhook.Delivery
	for delivery, err := range d.client.Deliveries(ctx, sub.ID, client.DeliveryFilter{}) {
		if err != nil {
			return "", orDeleted(err)
		}
		if latest = append(latest, *delivery); len(latest) == monitor.LatestLooked {
			break
		}
	}
	return monitor.WhySilent(sub, states, latest, time.Now()), nil
}

// orDeleted returns nil for the error that says that a webhook was deleted in the meantime.
func orDeleted(err error) error {
	if errors.Is(err, webhook.ErrNotFound) {
		return nil
	}
	return err
}

// maxOverdue is how long a delivery that is due may wait before that is a warning.
const maxOverdue = time.Minute

// backlog asks for the totals.
func (d *doctor) backlog(ctx context.Context) error {
	t, err := d.client.Totals(ctx)
	if err != nil {
		return err
	}
	d.dead = t.Deliveries[webhook.StatusDead]
	now := time.Now()
	if err := d.report(backlogCheck("backlog", &t.Backlog, now)); err != nil {
		return err
	}
	if c, ok := heldCheck("held subjects", &t.Backlog, now); ok {
		return d.report(c)
	}
	return nil
}

// backlogCheck judges what waits at a time.
func backlogCheck(name string, b *api.Backlog, now time.Time) check {
	number := func(n int64, more bool) string {
		if more {
			return strconv.FormatInt(n, 10) + " or more"
		}
		return strconv.FormatInt(n, 10)
	}
	paused := b.Deliveries[webhook.StatusPaused]
	// As webhook.Totals.Waiting, which the overviews of the console show.
	waiting := b.Deliveries[webhook.StatusPending] + paused
	c := check{name, checkOK, number(waiting, b.MoreUnfinished) + " wait", ""}
	if paused > 0 {
		c.Detail += fmt.Sprintf(" (%s of them paused)", number(paused, b.MoreUnfinished))
	}
	c.Detail += fmt.Sprintf(", %s are in flight, %s are dead",
		number(b.Deliveries[webhook.StatusInFlight], b.MoreUnfinished),
		number(b.Deliveries[webhook.StatusDead], b.MoreDead))
	if b.OldestDue != nil {
		waits := max(0, now.Sub(*b.OldestDue))
		c.Detail += ", the oldest that is due waits for " + short(waits)
		if waits > maxOverdue {
			c.Result = checkWarn
			c.Remedy = "Endpoints answer slowly or not at all, and are not degraded yet, or more comes in than " +
				"a rate limit lets out, or no process delivers. Look whether Dispatcher.Run runs, and why one " +
				"of them waits: webhooks deliveries show, with an id of webhooks deliveries list --status pending " +
				"--until 1m."
		}
	}
	return c
}

// heldCheck warns of dead deliveries that hold back later events about their subjects, or returns
// false if there are none.
func heldCheck(name string, b *api.Backlog, now time.Time) (check, bool) {
	if b.Holding == 0 {
		return check{}, false
	}
	c := check{name, checkWarn, counted(int(b.Holding), "dead delivery holds back later events about its "+
		"subject", "dead deliveries hold back later events about their subjects"),
		"Find them: webhooks deliveries list --status dead, and webhooks deliveries show says whether one " +
			"holds its subject. Then: webhooks deliveries replay if its endpoint takes it now, or webhooks " +
			"deliveries skip."}
	if b.OldestHolding != nil {
		c.Detail += ", for " + short(max(0, now.Sub(*b.OldestHolding)))
		if b.Holding > 1 {
			c.Detail += " at most"
		}
	}
	c.Detail += "; " + counted(int(b.InLine), "delivery waits in line", "deliveries wait in line")
	return c, true
}

// lastDay adds up the statistics of the webhooks.
func (d *doctor) lastDay(ctx context.Context) error {
	total := map[webhook.Status]int64{}
	var attempts, failed int64
	var died []affected
	for i, sub := range d.webhooks {
		d.progressf("statistics of webhook %d of %d", i+1, len(d.webhooks))
		s, err := d.client.Statistics(ctx, sub.ID, time.Time{})
		if errors.Is(err, webhook.ErrNotFound) {
			continue // deleted in the meantime
		}
		if err != nil {
			return err
		}
		for status, n := range s.Deliveries {
			total[status] += n
		}
		attempts, failed = attempts+s.Attempts, failed+s.FailedAttempts
		if n := s.Deliveries[webhook.StatusPaused]; sub.Paused && n > 0 {
			d.waiting = append(d.waiting, affected{sub, n})
		}
		if s.FailedAttempts > 0 {
			d.failing = append(d.failing, failing{sub, s.FailedAttempts, s.Attempts})
		}
		if n := s.Deliveries[webhook.StatusDead]; n > 0 {
			died = append(died, affected{sub, n})
		}
	}
	c := check{"last 24 hours", checkOK, fmt.Sprintf("%d succeeded, %d died",
		total[webhook.StatusSucceeded], total[webhook.StatusDead]), ""}
	worst, err := d.stillDead(ctx, died)
	switch {
	case err != nil:
		return err
	case len(died) > 0 && d.dead == 0:
		c.Detail += " and were replayed since, or have been pruned"
	case worst != nil:
		c.Result = checkWarn
		c.Detail += fmt.Sprintf(", %d of them of %s%s", worst.deliveries, worst.ID, inBrackets(worst.Name))
		c.Remedy = "See why: webhooks deliveries list --status dead " + worst.ID + ". Once that is " +
			"repaired: webhooks deliveries replay --all --dry-run " + worst.ID + " counts what is dead, and " +
			"without --dry-run replays it."
	}
	c.Detail += attemptsText(attempts, failed)
	if err := d.report(c); err != nil {
		return err
	}
	if err := d.pausedWebhooks(); err != nil {
		return err
	}
	return d.failingAttempts()
}

// byDeliveries orders webhooks, those with the most deliveries first.
func byDeliveries(list []affected) {
	slices.SortStableFunc(list, func(a, b affected) int { return cmp.Compare(b.deliveries, a.deliveries) })
}

// pausedWebhooks names the webhooks that are paused while deliveries wait for them, those with the
// most first.
func (d *doctor) pausedWebhooks() error {
	byDeliveries(d.waiting)
	for i, sub := range d.waiting {
		if i == maxListed {
			return d.report(check{"paused webhooks", checkWarn, fmt.Sprintf("%d more are paused while deliveries "+
				"wait", len(d.waiting)-maxListed), ""})
		}
		err := d.report(check{"paused webhook", checkWarn, fmt.Sprintf("%s%s is paused, and %s for it", sub.ID,
			inBrackets(sub.Name), counted(int(sub.deliveries), "delivery waits", "deliveries wait")),
			"If that is over: webhooks resume " + sub.ID + "."})
		if err != nil {
			return err
		}
	}
	return nil
}

// maxStillDead bounds the webhooks of which it is asked whether anything is dead now.
const maxStillDead = 20

// stillDead returns the webhook of which most deliveries died, among those that have dead ones now:
// what was replayed is dead no longer. It returns nil if there is none.
func (d *doctor) stillDead(ctx context.Context, died []affected) (*affected, error) {
	if d.dead == 0 {
		return nil, nil
	}
	byDeliveries(died)
	for i := range died[:min(len(died), maxStillDead)] {
		filter := client.DeliveryFilter{Status: webhook.StatusDead}
		for _, err := range d.client.Deliveries(ctx, died[i].ID, filter) {
			if err != nil {
				return nil, err
			}
			return &died[i], nil
		}
	}
	return nil, nil
}

// attemptsText says which share of the attempts succeeded. While everything fails and is retried,
// nothing has died yet.
func attemptsText(attempts, failed int64) string {
	if attempts == 0 {
		return ""
	}
	return fmt.Sprintf("; %s of %d attempts succeeded", percent(attempts-failed, attempts), attempts)
}

// percent writes a share, and never rounds one that is less up to 100%.
func percent(part, whole int64) string {
	return strconv.FormatFloat(math.Floor(1000*float64(part)/float64(whole))/10, 'f', -1, 64) + "%"
}

// minFailing is how many attempts of a webhook must have failed before it is named, and
// maxFailingShown how many webhooks are.
const (
	minFailing      = 5
	maxFailingShown = 5
)

// failingAttempts names the webhooks of which most attempts failed, those with the most first.
func (d *doctor) failingAttempts() error {
	slices.SortStableFunc(d.failing, func(a, b failing) int { return cmp.Compare(b.failed, a.failed) })
	shown := 0
	for _, sub := range d.failing {
		if sub.failed < minFailing || 2*sub.failed < sub.attempts {
			continue
		}
		if shown++; shown > maxFailingShown {
			break
		}
		err := d.report(check{"failing webhook", checkWarn, fmt.Sprintf("%s%s: %s of %d attempts of "+
			"the last 24 hours succeeded", sub.ID, inBrackets(sub.Name), percent(sub.attempts-sub.failed, sub.attempts),
			sub.attempts), "See why: webhooks endpoints show " + sub.ID + "."})
		if err != nil {
			return err
		}
	}
	return nil
}

// refusals looks for event types that most deliveries of are refused. Their endpoints are healthy.
func (d *doctor) refusals(ctx context.Context) error {
	n := 0
	for _, sub := range d.failing[:min(len(d.failing), maxDoctorRefusals)] {
		found, err := d.client.Refusals(ctx, sub.ID)
		if errors.Is(err, webhook.ErrNotFound) {
			continue // deleted in the meantime, or an older version of the API
		}
		if err != nil {
			return err
		}
		for i := range found.Results {
			r := &found.Results[i]
			if 2*r.Refused < r.Attempted {
				continue
			}
			if n++; n > maxListed {
				return d.report(check{"refusals", checkWarn,
					fmt.Sprintf("there are more than %d event types that are refused", maxListed), ""})
			}
			if err := d.report(check{"refusal", checkWarn, fmt.Sprintf("%s%s %s refuses %s", sub.ID,
				inBrackets(sub.Name), r.Channel, refusalText(r)), "See what it answers: webhooks deliveries show " +
				sub.ID + " " + r.DeliveryID.String() + "."}); err != nil {
				return err
			}
		}
	}
	if n == 0 {
		return d.report(check{"refusals", checkOK, "no event type is refused by an endpoint", ""})
	}
	return nil
}

// system looks at what an operator's API key shows of the service.
func (d *doctor) system(context.Context) error {
	if d.about == nil || d.about.System == nil {
		return nil
	}
	s := d.about.System
	checks := []check{
		{"version", checkOK, "the service has " + s.Version + " of the library", ""},
		backlogCheck("backlog of all organizations", &s.Backlog, s.Now),
	}
	if c, ok := heldCheck("held subjects of all organizations", &s.Backlog, s.Now); ok {
		checks = append(checks, c)
	}
	checks = append(checks, processCheck(s))
	if s.Store == nil {
		checks = append(checks, check{"store", checkOK, "it does not say how it is", ""})
	} else {
		checks = append(checks, schemaCheck(s.Store), transactionsCheck(s.Store, s.Now))
	}
	for _, c := range checks {
		if err := d.report(c); err != nil {
			return err
		}
	}
	return nil
}

// maxClaimAge is after which time without an answer to a claim a process is in trouble.
const maxClaimAge = time.Minute

// maxShownProcesses is how many processes are named, of those that deliver and of those that are lost.
const maxShownProcesses = 5

// processCheck judges what delivers.
func processCheck(s *api.System) check {
	c := check{"processes", checkOK, "", ""}
	if s.Processes == nil {
		c.judgeOne(s)
	} else {
		c.judgeAll(s)
	}
	switch {
	case s.Store == nil:
	case s.Store.LastResult == nil:
		c.Detail += "; none has stored a result yet"
	default:
		c.Detail += "; the last result of any was stored " + before(s.Now, *s.Store.LastResult)
	}
	return c
}

func before(now, t time.Time) string { return short(max(0, now.Sub(t))) + " ago" }

// judgeOne says what the process does that has answered.
func (c *check) judgeOne(s *api.System) {
	c.Detail = "the store does not keep which there are; the one that answered delivers nothing itself"
	if !s.Process.Running {
		return
	}
	c.Detail = "the store does not keep which there are; the one that answered delivers, holds " +
		counted(s.Process.Leased, "delivery", "deliveries")
	if at := s.Process.LastClaim; at != nil {
		c.Detail += ", last claimed " + before(s.Now, *at)
		if s.Now.Sub(*at) > maxClaimAge {
			c.Result, c.Remedy = checkWarn, "The store does not answer its claims: look into its log."
		}
	}
}

// judgeAll says which processes deliver, and which are lost.
func (c *check) judgeAll(s *api.System) {
	var alive, lost, versions []string
	silent := false // one gets no answer to its claims
	for i := range s.Processes {
		p := &s.Processes[i]
		if p.Lost {
			lost = append(lost, p.Name+", last heard of "+before(s.Now, p.Heartbeat))
			continue
		}
		says := "holds " + counted(p.Leased, "delivery", "deliveries")
		if p.Stopping {
			says = "is stopping, " + says
		}
		if p.LastClaim != nil {
			says += ", last claimed " + before(s.Now, *p.LastClaim)
			silent = silent || !p.Stopping && p.Heartbeat.Sub(*p.LastClaim) > maxClaimAge
		}
		alive = append(alive, p.Name+" ("+says+")")
		if !slices.Contains(versions, p.Version) {
			versions = append(versions, p.Version)
		}
	}
	pending, overdue := s.Deliveries[webhook.StatusPending], time.Duration(0)
	if s.OldestDue != nil {
		overdue = s.Now.Sub(*s.OldestDue)
	}
	const remedy = "Start one that calls Run, or Drain. "
	switch {
	case len(alive) > 0:
		c.Detail = fmt.Sprintf("%d deliver: %s", len(alive), firstOf(alive))
		if len(alive) == 1 {
			c.Detail = "one delivers: " + firstOf(alive)
		}
	case overdue > maxOverdue: // they may be leased to a process that was killed
		c.Result, c.Remedy = checkFail, remedy
		c.Detail = fmt.Sprintf("none delivers, and %d are pending or in flight, the oldest that is due for %s",
			pending+s.Deliveries[webhook.StatusInFlight], short(overdue))
	case pending > 0:
		c.Result, c.Remedy = checkWarn, remedy
		c.Detail = fmt.Sprintf("none delivers, and %d are pending", pending)
	default:
		c.Detail = "none delivers"
	}
	if len(versions) > 1 {
		slices.Sort(versions)
		c.Detail += "; they have " + strings.Join(versions, " and ") + " of the library"
	}
	if silent {
		c.Result = checkWarn
		c.Remedy += "The store does not answer the claims of one of them: look into its log. "
	}
	if len(lost) > 0 {
		if c.Result == checkOK {
			c.Result = checkWarn
		}
		c.Detail += fmt.Sprintf("; %d lost: %s", len(lost), firstOf(lost))
		c.Remedy += "What is lost was killed, stands still, or cannot reach the store: look into its log. " +
			"Others claim its deliveries when their leases end. It leaves the list an hour after its last " +
			"heartbeat."
	}
	c.Remedy = strings.TrimSpace(c.Remedy)
}

// firstOf names the first few of a list.
func firstOf(list []string) string {
	if len(list) > maxShownProcesses {
		return strings.Join(list[:maxShownProcesses], "; ") + "; …"
	}
	return strings.Join(list, "; ")
}

// schemaCheck compares the tables with those that the process needs.
func schemaCheck(s *api.StoreState) check {
	c := check{"schema", checkOK, fmt.Sprintf("%s has version %d, as the service needs", s.Kind,
		s.SchemaVersion), ""}
	switch {
	case s.SchemaVersion < s.NeededVersion:
		pending := make([]string, len(s.PendingMigrations))
		for i, version := range s.PendingMigrations {
			pending[i] = strconv.Itoa(version)
		}
		c = check{"schema", checkFail, fmt.Sprintf("%s has version %d, the service needs %d; migrations "+
			"that are missing: %s", s.Kind, s.SchemaVersion, s.NeededVersion, strings.Join(pending, ", ")),
			"Apply them, or start the service without NoMigrate. An old backup may have been restored."}
	case s.SchemaVersion > s.NeededVersion:
		c = check{"schema", checkWarn, fmt.Sprintf("%s has version %d, the service knows up to %d", s.Kind,
			s.SchemaVersion, s.NeededVersion), "A newer process has changed the tables. Update this one: it " +
			"cannot start again."}
	}
	return c
}

// maxShownTransactions is how many transactions are shown.
const maxShownTransactions = 5

// transactionsCheck warns of transactions that have been open for long.
func transactionsCheck(s *api.StoreState, now time.Time) check {
	t := s.Transactions
	if t == nil {
		return check{"transactions", checkOK, "not applicable to " + s.Kind, ""}
	}
	c := check{"transactions", checkOK, "none has been open for more than a minute", ""}
	if len(t.Oldest) > 0 {
		shown := make([]string, min(len(t.Oldest), maxShownTransactions))
		for i := range shown {
			one := &t.Oldest[i]
			shown[i] = fmt.Sprintf("pid %d", one.PID)
			for _, said := range []string{one.Application, one.State} {
				if said != "" {
					shown[i] += " " + said
				}
			}
			shown[i] += " for " + short(now.Sub(one.Since))
		}
		n := strconv.Itoa(len(t.Oldest))
		if t.More {
			n += " or more"
		}
		c.Result, c.Detail = checkWarn, n+" open for more than a minute: "+strings.Join(shown, "; ")
		if len(shown) < len(t.Oldest) {
			c.Detail += "; …"
		}
		c.Remedy = "While they are open, the database cannot clear up, and slows down. End them in their " +
			"program, or with SELECT pg_terminate_backend(pid)."
	}
	if t.Hidden > 0 {
		c.Detail += fmt.Sprintf(" (%s of other roles not seen)", counted(t.Hidden, "session", "sessions"))
		if c.Remedy == "" {
			c.Remedy = "To see them, the role of the service needs pg_read_all_stats."
		}
	}
	return c
}

// dateRecorder measures how far the server's clock is ahead of this machine's.
type dateRecorder struct {
	next http.RoundTripper

	mu    sync.Mutex
	ahead time.Duration
	known bool
}

// RoundTrip makes the request.
func (r *dateRecorder) RoundTrip(request *http.Request) (*http.Response, error) {
	start := time.Now()
	response, err := r.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		// The server wrote the date between start and now, cut to the second: its clock is ahead by this
		// at least and at most. What is nearest to 0 is taken, so that a slow answer is no wrong clock.
		least, most := time.Until(date), date.Add(time.Second).Sub(start)
		r.mu.Lock()
		r.ahead, r.known = max(least, min(most, 0)), true
		r.mu.Unlock()
	}
	return response, nil
}

func (r *dateRecorder) off() (time.Duration, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ahead, r.known
}
