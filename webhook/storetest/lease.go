package storetest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func leaseCases() []testCase {
	return []testCase{
		{"Extend", extendLease},
		{"ExtendAfterEnd", extendAfterEnd},
		{"ExtendLost", extendLost},
		{"UnknownLeases", unknownLeases},
	}
}

func (f *fixture) extend(until time.Time, leases ...webhook.Lease) (lost []webhook.Lease) {
	f.t.Helper()
	lost, err := f.Extend(f.ctx, until, leases)
	require.NoError(f.t, err, "a lost lease is not an error")
	return lost
}

func extendLease(f *fixture) {
	f.create(hook())
	f.enqueue(start(), newEvents("evt", 2)...)
	tasks := f.claimN(start(), 2)
	end := start().Add(lease)
	require.Empty(f.t, f.extend(end.Add(lease), tasks[0].Lease), "a lease that is held is not lost")
	require.Equal(f.t, tasks[1].DeliveryID, f.claimOne(end).DeliveryID, "only the lease that was extended holds on")
	f.settle(end.Add(lease-tick), succeeded(tasks[0], end))
}

func extendAfterEnd(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	task := f.claimOne(start())
	end := start().Add(2 * lease)
	require.Empty(f.t, f.extend(end, task.Lease), "a lease that ended but was not taken over can still be extended")
	f.requireNothingDue(end.Add(-tick), "an extended lease holds until its new end")
	require.Equal(f.t, task.DeliveryID, f.claimOne(end).DeliveryID, "an extended lease ends")
}

func extendLost(f *fixture) {
	w := f.create(hook())
	f.enqueue(start(), newEvents("evt", 6)...)
	tasks := f.claimN(start(), 6)
	f.settle(start(), succeeded(tasks[0], start()), died(tasks[1], start()),
		webhook.Settlement{Lease: tasks[2].Lease, Status: webhook.StatusPending, DueAt: start().Add(time.Hour)})
	require.NoError(f.t, f.Cancel(f.ctx, start(), org, tasks[3].DeliveryID))
	end := start().Add(lease)
	require.Empty(f.t, f.extend(end.Add(time.Hour), tasks[5].Lease))
	taker := f.claimOne(end) // of tasks[4]
	require.Equal(f.t, tasks[4].DeliveryID, taker.DeliveryID)

	var all, want []webhook.Lease
	for _, task := range tasks {
		all = append(all, task.Lease)
	}
	want = all[:5]
	require.ElementsMatch(f.t, want, f.extend(end.Add(time.Hour), all...),
		"Extend returns the leases that are lost: settled, given back, cancelled, taken over")
	require.Equal(f.t, webhook.StatusSucceeded, f.status(tasks[0].DeliveryID), "a lost lease changes nothing")
	f.requireTime(start().Add(time.Hour), f.get(tasks[2].DeliveryID).DueAt, "the DueAt of a delivery whose lease is lost")
	require.Equal(f.t, taker.DeliveryID, f.claimOne(end.Add(lease)).DeliveryID, "a lost lease does not move the end of the one that took over")

	f.remove(w)
	require.Equal(f.t, []webhook.Lease{tasks[5].Lease}, f.extend(end.Add(time.Hour), tasks[5].Lease),
		"deleting a webhook ends its unfinished deliveries: their leases are lost")
}

func unknownLeases(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	task := f.claimOne(start())
	unknown := []webhook.Lease{
		{DeliveryID: task.DeliveryID, Token: task.Token + 1},
		{DeliveryID: task.DeliveryID, Token: task.Token - 1},
		{DeliveryID: task.DeliveryID + 1, Token: task.Token},
		{},
	}
	require.ElementsMatch(f.t, unknown, f.extend(start().Add(time.Hour), unknown...), "a lease that was never given is lost")
	for _, l := range unknown {
		f.refuse(start(), webhook.Settlement{Lease: l, Status: webhook.StatusSucceeded}, "a lease that was never given settles nothing")
	}
	require.Equal(f.t, webhook.StatusInFlight, f.status(task.DeliveryID))
	f.settle(start(), succeeded(task, start()))
}
