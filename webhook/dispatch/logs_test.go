package dispatch_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// jsonLog is a log as a collector reads it.
type jsonLog struct{ lockedBuffer }

func (l *jsonLog) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: level}))
}

// lines returns the lines with that message.
func (l *jsonLog) lines(t *testing.T, message string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for text := range strings.Lines(l.String()) {
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &line))
		if line["msg"] == message {
			delete(line, "time")
			found = append(found, line)
		}
	}
	return found
}

// aboutDelivery is what each line about a delivery names.
func aboutDelivery(level, message string, d *webhook.Delivery, attempt int) map[string]any {
	return map[string]any{
		"level": level, "msg": message, "event_id": d.EventID, "event_type": d.EventType,
		"delivery_id": d.ID.String(), "webhook_id": d.SubscriptionID, "channel": d.Channel,
		"organization_id": "", "attempt": float64(attempt), "webhook_name": "test",
	}
}

func with(line map[string]any, more map[string]any) map[string]any {
	for name, value := range more {
		line[name] = value
	}
	return line
}

func without(line map[string]any, name string) map[string]any {
	delete(line, name)
	return line
}

func TestLogOfADeadDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log jsonLog
		b := newBench(t, dispatch.Config{
			Logger: log.logger(slog.LevelInfo), Retry: dispatch.RetrySchedule{time.Second},
		}, func(context.Context, *channel.Message) (channel.Result, error) {
			return channel.Result{}, status(503)
		})
		b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		elapse(time.Minute)
		d := b.only(t)
		require.Equal(t, webhook.StatusDead, d.Status)
		assert.Equal(t, []map[string]any{
			with(aboutDelivery("WARN", "webhook: a delivery is dead", &d, 2), map[string]any{
				"status_code": 503.0, "class": "status",
				"error": "the endpoint answered 503 Service Unavailable",
			}),
		}, log.lines(t, "webhook: a delivery is dead"))
		assert.Empty(t, log.lines(t, "webhook: attempted"), "attempts are for Debug")
	})
}

func TestLogOfAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log jsonLog
		b := newBench(t, dispatch.Config{Logger: log.logger(slog.LevelDebug)},
			func(ctx context.Context, m *channel.Message) (channel.Result, error) {
				time.Sleep(20 * time.Millisecond)
				return accept(ctx, m)
			})
		b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		d := b.only(t)
		assert.Equal(t, []map[string]any{
			with(aboutDelivery("DEBUG", "webhook: attempted", &d, 1), map[string]any{
				"status_code": 200.0, "duration": float64(20 * time.Millisecond),
			}),
		}, log.lines(t, "webhook: attempted"))
	})
}

// A delivery is cancelled elsewhere while it is in flight here: its lease cannot be extended, and
// its result comes too late.
func TestLogOfALostLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log jsonLog
		store := memstore.New()
		var lost atomic.Int64
		cfg := dispatch.Config{Logger: log.logger(slog.LevelInfo)}
		cfg.Hooks.LeasesLost = func(_ context.Context, l dispatch.LeasesLost) { lost.Add(int64(l.Deliveries)) }
		b := benchOn(t, store, cfg, func(
			ctx context.Context, m *channel.Message,
		) (channel.Result, error) {
			time.Sleep(25 * time.Second)
			return channel.Result{}, status(500)
		})
		b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		d := b.only(t)
		require.NoError(t, store.Cancel(t.Context(), time.Now(), "", d.ID))
		elapse(time.Minute)
		assert.Equal(t, []map[string]any{
			without(aboutDelivery("WARN", "webhook: a lease was lost", &d, 0), "webhook_name"),
		}, log.lines(t, "webhook: a lease was lost"))
		assert.EqualValues(t, 1, lost.Load())
		assert.Equal(t, []map[string]any{
			with(aboutDelivery("WARN", "webhook: a result came too late", &d, 1), map[string]any{
				"status_code": 500.0, "class": "status",
				"error": "the endpoint answered 500 Internal Server Error",
			}),
		}, log.lines(t, "webhook: a result came too late"))
	})
}

// When thousands die at once, the log has a part of them, says how many it has not, and hides no
// other endpoint.
func TestLogOfManyDeadDeliveries(t *testing.T) {
	if testing.Short() {
		t.Skip("has 1000 deliveries")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const message, left = "webhook: a delivery is dead", "webhook: lines were left out of the log"
		var log jsonLog
		b := newBench(t, dispatch.Config{Logger: log.logger(slog.LevelInfo)},
			func(context.Context, *channel.Message) (channel.Result, error) {
				return channel.Result{}, &channel.Error{
					Action: channel.Permanent, Class: channel.ClassStatus, StatusCode: 422,
				}
			})
		noisy := b.subscribe(t, event.ObjectCreated)
		quiet := b.subscribe(t, "report.created")
		b.run(t)
		const deaths = 1000
		for range deaths {
			b.emit(t, event.ObjectCreated)
		}
		elapse(30 * time.Second)
		b.emit(t, "report.created")
		elapse(time.Second)
		require.Equal(t, deaths+1, b.count(t, webhook.StatusDead))
		lines := log.lines(t, message)
		require.Len(t, lines, 11)
		assert.Equal(t, quiet.ID, lines[10]["webhook_id"])
		assert.Empty(t, log.lines(t, left), "the minute is not over")
		elapse(time.Minute)
		assert.Equal(t, []map[string]any{{
			"level": "WARN", "msg": left, "line": message, "lines": float64(deaths - 10),
			"most_webhook_id": noisy.ID, "most_channel": "webhook", "most_lines": float64(deaths - 10),
		}}, log.lines(t, left))
		b.emit(t, event.ObjectCreated)
		elapse(2 * time.Minute)
		assert.Len(t, log.lines(t, message), 12)
		assert.Len(t, log.lines(t, left), 1)
	})
}

// hostChannel is a channel whose attempts go to a host.
type hostChannel struct {
	channel.Func
	host string
}

func (c hostChannel) Capabilities() channel.Capabilities { return channel.Capabilities{Host: c.host} }

func (c hostChannel) Open(json.RawMessage) (channel.Channel, error) { return c, nil }

// An operator who starts a process sees what it finds, and what it leaves.
func TestLogOfStartAndStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log jsonLog
		store := memstore.New()
		b := benchOn(t, store, dispatch.Config{Logger: log.logger(slog.LevelInfo)}, accept)
		sub := b.subscribe(t, event.ObjectCreated)
		disabled := b.subscribe(t, "report.created")
		require.NoError(t, b.DisableEndpoint(t.Context(), "", endpointOf(disabled), "ann"))
		b.emit(t, event.ObjectCreated)
		start := time.Now().UTC()
		tasks, err := store.Claim(t.Context(), start, webhook.ClaimRequest{
			Until: start.Add(time.Hour), Limit: 1, PerEndpoint: 1})
		require.NoError(t, err)
		require.Len(t, tasks, 1, "a process that died has it")
		degraded := b.state(t, sub)
		degraded.Health, degraded.NextProbe = webhook.Degraded, start.Add(24*time.Hour)
		require.NoError(t, webhook.SetEndpointState(t.Context(), store, &degraded, 0))
		b.emit(t, "report.created")
		b.emit(t, event.ObjectCreated)
		stop := b.run(t)
		elapse(time.Second)
		stop()
		figures := func(message string) map[string]any {
			return map[string]any{
				"level": "INFO", "msg": message, "pending": 1.0, "in_flight": 1.0,
				"in_flight_elsewhere": 1.0, "paused": 1.0, "dead": 0.0, "degraded_endpoints": 1.0,
				"disabled_endpoints": 1.0,
			}
		}
		assert.Equal(t, []map[string]any{figures("webhook: started")}, log.lines(t, "webhook: started"))
		assert.Equal(t, []map[string]any{with(figures("webhook: stopped"),
			map[string]any{"requeued": 0.0, "leased": 0.0})}, log.lines(t, "webhook: stopped"))
	})
}

// People know an endpoint by the name of its webhook and by its host. What is secret in a URL is in
// no line.
func TestLogNamesTheEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log jsonLog
		b := benchOn(t, memstore.New(), dispatch.Config{Logger: log.logger(slog.LevelInfo)}, accept)
		answer := status(422)
		require.NoError(t, b.Channels().Register("shop", hostChannel{
			Func: func(context.Context, *channel.Message) (channel.Result, error) {
				return channel.Result{}, answer
			}, host: "shop.example.com",
		}))
		sub := &webhook.Subscription{Name: "Shop & Sons", EventTypes: []event.Pattern{"*"},
			Channels: []webhook.ChannelConfig{{Channel: "shop", Configs: json.RawMessage(`{}`)}}}
		require.NoError(t, b.CreateSubscription(t.Context(), sub))
		b.run(t)
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		answer = status(410)
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		require.NoError(t, b.EnableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		for _, message := range []string{"webhook: a delivery is dead", "webhook: an endpoint is disabled",
			"webhook: an endpoint is healthy again"} {
			lines := log.lines(t, message)
			require.NotEmpty(t, lines, message)
			assert.Equal(t, "Shop & Sons", lines[0]["webhook_name"], message)
			assert.Equal(t, "shop.example.com", lines[0]["host"], message)
		}
	})
}
