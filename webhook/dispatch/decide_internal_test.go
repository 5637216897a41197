package dispatch

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 11, 1, 12, 0, 0, 0, time.UTC)
	schedule := retryRules{policy: RetrySchedule{time.Minute, time.Hour}}
	with := func(own webhook.Retry) retryRules { return retryRules{own: &own, policy: schedule.policy} }
	status := func(code int) endedAttempt {
		return endedAttempt{err: channel.Classify(code, nil, time.Time{}), class: channel.ClassStatus}
	}
	failed := func(action channel.Action, class channel.Class, retryAfter time.Duration) endedAttempt {
		err := &channel.Error{Action: action, Class: class, RetryAfter: retryAfter}
		return endedAttempt{err: err, class: class}
	}
	const retry = channel.Retry
	timedOut := failed(retry, channel.ClassTimeout, 0)
	timedOutHere := timedOut
	timedOutHere.waitedHere = true
	healthy := breaker.Observation{Health: breaker.Healthy}
	unhealthy := breaker.Observation{Health: breaker.Unhealthy}
	succeeded := decision{status: webhook.StatusSucceeded, observed: healthy}
	dead := func(o breaker.Observation) decision {
		return decision{status: webhook.StatusDead, observed: o}
	}
	again := func(wait time.Duration, o breaker.Observation) decision {
		return decision{status: webhook.StatusPending, dueAt: now.Add(wait), observed: o}
	}
	asked := func(wait time.Duration) breaker.Observation {
		return breaker.Observation{Health: breaker.Unhealthy, RetryAfter: wait}
	}
	permanent := func(o breaker.Observation) decision {
		d := dead(o)
		d.permanent = true
		return d
	}
	gone := dead(asked(breaker.MaxBackoff))
	gone.gone, gone.permanent = true, true
	const queuedBefore = 2 * time.Minute
	for _, c := range []struct {
		name         string
		failedBefore int
		ended        endedAttempt
		rules        retryRules
		want         decision
	}{
		{"success", 0, endedAttempt{}, schedule, succeeded},
		{"success at last", 9, endedAttempt{}, schedule, succeeded},
		{"500", 0, status(500), schedule, again(time.Minute, unhealthy)},
		{"500 again", 1, status(500), schedule, again(time.Hour, unhealthy)},
		{"500 after all waits", 2, status(500), schedule, dead(unhealthy)},
		{"an unknown error", 0, endedAttempt{err: errors.New("oops")},
			schedule, again(time.Minute, unhealthy)},
		{"a timeout", 0, timedOut, schedule, again(time.Minute, unhealthy)},
		{"a timeout by waiting", 0, timedOutHere,
			schedule, again(time.Minute, breaker.Observation{})},
		{"a template", 0, failed(retry, channel.ClassTemplate, 0),
			schedule, again(time.Minute, breaker.Observation{})},
		{"refused for good", 0, failed(channel.Permanent, channel.ClassRejected, 0),
			schedule, permanent(healthy)},
		{"a configuration", 0, failed(channel.Permanent, channel.ClassConfig, 0),
			schedule, permanent(breaker.Observation{})},
		{"asked to wait less", 0, failed(channel.Wait, channel.ClassStatus, time.Second),
			schedule, again(time.Minute, asked(time.Second))},
		{"asked to wait longer", 0, failed(channel.Wait, channel.ClassStatus, 9*time.Minute),
			schedule, again(9*time.Minute, asked(9*time.Minute))},
		{"asked for too much", 0, failed(channel.Wait, channel.ClassStatus, 9000*time.Hour),
			schedule, again(channel.MaxRetryAfter, asked(9000*time.Hour))},
		{"RetryAfter of a retry", 0, failed(retry, channel.ClassStatus, 9*time.Minute),
			schedule, again(time.Minute, unhealthy)},
		{"the endpoint is gone", 0, failed(channel.Disable, channel.ClassStatus, 0),
			schedule,
			gone},
		{"own delays", 0, status(500),
			with(webhook.Retry{Delays: []time.Duration{time.Second}}),
			again(time.Second, unhealthy)},
		{"own delays are over", 1, status(500),
			with(webhook.Retry{Delays: []time.Duration{time.Second}}), dead(unhealthy)},
		{"own attempts", 0, status(500),
			with(webhook.Retry{MaxAttempts: 2}), again(time.Minute, unhealthy)},
		{"own attempts are over", 1, status(500),
			with(webhook.Retry{MaxAttempts: 2}), dead(unhealthy)},
		{"within its own age", 0, status(500),
			with(webhook.Retry{MaxAge: 3 * time.Minute}), again(time.Minute, unhealthy)},
		{"beyond its own age", 0, status(500),
			with(webhook.Retry{MaxAge: 3*time.Minute - 1}), dead(unhealthy)},
		{"asked beyond its age", 0, failed(channel.Wait, channel.ClassStatus, time.Hour),
			with(webhook.Retry{MaxAge: 3 * time.Minute}), dead(asked(time.Hour))},
		{"a wait that is too long", 0, status(500),
			retryRules{policy: RetrySchedule{2 * maxWait}}, again(maxWait, unhealthy)},
		{"a wait below zero", 0, status(500),
			retryRules{policy: RetrySchedule{-1}}, again(0, unhealthy)},
	} {
		task := &webhook.Task{AttemptsSinceQueued: c.failedBefore, QueuedAt: now.Add(-queuedBefore)}
		assert.Equal(t, c.want, decide(task, c.ended, c.rules, now), c.name)
	}
}

func TestDecideLost(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 11, 1, 12, 0, 0, 0, time.UTC)
	rules := retryRules{policy: RetrySchedule{time.Minute}}
	for lost, want := range map[int]decision{
		1: {status: webhook.StatusPending, dueAt: now.Add(time.Minute)},
		3: {status: webhook.StatusPending, dueAt: now.Add(time.Minute)},
		4: {status: webhook.StatusDead},
	} {
		assert.Equal(t, want, decideLost(&webhook.Task{Lost: lost}, 3, rules, now), lost)
	}
	last := &webhook.Task{Lost: 1, AttemptsSinceQueued: 1}
	assert.Equal(t, decision{status: webhook.StatusDead}, decideLost(last, 3, rules, now),
		"there is no retry left")
}

func TestObserve(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]breaker.Health{
		400: breaker.Healthy, 404: breaker.Healthy, 422: breaker.Healthy, 499: breaker.Healthy,
		408: breaker.Unhealthy, 425: breaker.Unhealthy, 429: breaker.Unhealthy,
		500: breaker.Unhealthy, 503: breaker.Unhealthy,
	} {
		failure := &channel.Error{Class: channel.ClassStatus, StatusCode: status}
		assert.Equal(t, want, observe(failure, failure.Class).Health, status)
	}
}
