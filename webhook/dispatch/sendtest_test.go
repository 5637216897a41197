package dispatch_test

import (
	"context"
	"encoding/json"
	"runtime"
	"sync"
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

// sendByConfig does what the channel's config says.
func sendByConfig(config json.RawMessage) (channel.Channel, error) {
	var c struct {
		Status int
		Panic  bool
		Hang   bool
		Bad    bool
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, err
	}
	if c.Bad {
		var p event.Problems
		p.Add("bad", "must not be there")
		return nil, p.Err()
	}
	return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Result, error) {
		switch {
		case c.Panic:
			panic("s3cr3t")
		case c.Hang:
			<-ctx.Done()
			return channel.Result{}, channel.ContextError(ctx)
		}
		return channel.Result{StatusCode: c.Status, Response: m.SubscriptionID}, status(c.Status)
	}), nil
}

func testBenchByConfig(t *testing.T) *testBench {
	t.Helper()
	b := newBench(t, dispatch.Config{}, accept)
	require.NoError(t, b.Channels().Register("by_config", channel.DriverFunc(sendByConfig)))
	return b
}

func byConfig(configs ...string) *webhook.Subscription {
	sub := &webhook.Subscription{ID: webhook.NewID(), Name: "test",
		EventTypes: []event.Pattern{"object.*"}, Paused: true}
	for _, c := range configs {
		sub.Channels = append(sub.Channels,
			webhook.ChannelConfig{Channel: "by_config", Configs: json.RawMessage(c)})
	}
	return sub
}

func TestSendTestTriesEveryChannelOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := testBenchByConfig(t)
		sub := byConfig(`{"status": 200}`, `{"status": 500}`, `{"panic": true}`, `{"bad": true}`,
			`{"hang": true}`)
		e := &event.Event{Type: "invoice.paid", Subject: event.Subject{Type: "invoice", ID: "inv_1"},
			Namespace: "acme"}
		began := time.Now()
		results, err := b.SendTest(t.Context(), sub, e)
		require.NoError(t, err)
		require.Len(t, results, 5)
		assert.NotEmpty(t, e.ID, "the event is completed")
		assert.Equal(t, 30*time.Second, time.Since(began), "all at once, each for Config.AttemptTimeout")

		for i, want := range []dispatch.TestResult{
			{Channel: "by_config", Succeeded: true,
				Attempt: webhook.Attempt{StatusCode: 200, Response: sub.ID}},
			{Channel: "by_config#2", Attempt: webhook.Attempt{StatusCode: 500, Response: sub.ID,
				Class: "status", Error: "the endpoint answered 500 Internal Server Error"}},
			{Channel: "by_config#3", Attempt: webhook.Attempt{Class: "panic",
				Error: "the channel panicked"}},
			{Channel: "by_config#4", Attempt: webhook.Attempt{Class: "config",
				Error: "invalid: configs.bad: must not be there"}},
			{Channel: "by_config#5", Attempt: webhook.Attempt{Class: "timeout", Duration: 30 * time.Second}},
		} {
			want.Attempt.Number, want.Attempt.StartedAt = 1, began.UTC()
			if results[i].Attempt.Class == "timeout" {
				want.Attempt.Error = results[i].Attempt.Error
			}
			assert.Equal(t, want, results[i])
		}
		assert.Empty(t, b.outcomes)
		assert.Empty(t, b.deliveries(t, webhook.DeliveryQuery{}))
	})
}

func TestSendTestOfSomeChannels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := testBenchByConfig(t)
		sub := byConfig(`{"hang": true}`, `{"status": 200}`, `{"status": 204}`)
		results, err := b.SendTest(t.Context(), sub, newEvent(event.ObjectCreated), "by_config#3",
			"by_config#2")
		require.NoError(t, err)
		require.Len(t, results, 2)
		assert.Equal(t, []int{204, 200},
			[]int{results[0].Attempt.StatusCode, results[1].Attempt.StatusCode})
	})
}

func TestSendTestRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := testBenchByConfig(t)
		sub := byConfig(`{"hang": true}`)
		_, err := b.SendTest(t.Context(), sub, &event.Event{Type: "X", Namespace: "acme"}, "pigeon")
		var invalid *event.ValidationError
		require.ErrorAs(t, err, &invalid)
		var fields []string
		for _, p := range invalid.Problems {
			fields = append(fields, p.Field)
		}
		assert.Subset(t, fields, []string{"event_type", "channel"}, "everything at once")

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = b.SendTest(ctx, sub, newEvent(event.ObjectCreated))
		require.ErrorIs(t, err, context.Canceled)

		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		results, err := b.SendTest(ctx, sub, newEvent(event.ObjectCreated))
		require.NoError(t, err, "its time ran out, which is a failed attempt")
		assert.Equal(t, "timeout", results[0].Attempt.Class)
	})
}

func TestCheckSubscriptionNamesEveryProblem(t *testing.T) {
	t.Parallel()
	b := testBenchByConfig(t)
	sub := byConfig(`{"bad": true}`, `{}`)
	sub.ID, sub.Name = "", ""
	var invalid *event.ValidationError
	require.ErrorAs(t, b.CheckSubscription(sub), &invalid)
	assert.Equal(t, []event.Problem{
		{Field: "webhook_name", Code: event.CodeRequired, Rule: "is required"},
		{Field: "channels[0].configs.bad", Code: event.CodeInvalid, Rule: "must not be there"},
	}, invalid.Problems)
	assert.Empty(t, sub.ID, "the subscription stays as it was")
}

// What an organization may have tested is bounded, in rate and in flight, and
// one organization's tests take nothing from another's.
func TestSendTestIsLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{Tests: dispatch.TestLimits{PerMinute: 6, InFlight: 3,
			TotalInFlight: 4}}, accept)
		require.NoError(t, b.Channels().Register("by_config", channel.DriverFunc(sendByConfig)))
		test := func(organization string, configs ...string) error {
			sub := byConfig(configs...)
			sub.OrganizationID = organization
			e := newEvent(event.ObjectCreated)
			e.OrganizationID = organization
			_, err := b.SendTest(t.Context(), sub, e)
			return err
		}
		refused := func(err error, limit int, retryAfter time.Duration) {
			t.Helper()
			require.ErrorIs(t, err, webhook.ErrLimit)
			var e *webhook.LimitError
			require.ErrorAs(t, err, &e)
			assert.Equal(t, webhook.LimitError{Limit: "tests", Max: limit, RetryAfter: retryAfter}, *e)
		}
		const ok, hang = `{"status": 200}`, `{"hang": true}`
		refused(test("a", ok, ok, ok, ok), 3, 0)
		require.NoError(t, test("a", ok, ok, ok))
		require.NoError(t, test("a", ok, ok))
		refused(test("a", ok, ok), 6, 10*time.Second)
		require.NoError(t, test("a", ok))
		require.NoError(t, test("b", ok, ok, ok))
		time.Sleep(20 * time.Second)
		refused(test("a", ok, ok, ok), 6, 10*time.Second)
		require.NoError(t, test("a", ok, ok))

		time.Sleep(time.Hour)
		go func() { _ = test("a", hang, hang) }()
		synctest.Wait()
		refused(test("a", ok, ok), 3, time.Second)
		require.NoError(t, test("a", ok))
		refused(test("b", ok, ok, ok), 4, time.Second)
		time.Sleep(time.Minute)
		require.NoError(t, test("b", ok, ok, ok), "the attempts have ended")
		require.NoError(t, test("a", ok, ok, ok))
	})
}

func TestTestLimitsOfConfig(t *testing.T) {
	t.Parallel()
	_, err := dispatch.New(memstore.New(),
		dispatch.Config{Tests: dispatch.TestLimits{PerMinute: -1, InFlight: -1, TotalInFlight: -1}})
	for _, field := range []string{"Tests.PerMinute", "Tests.InFlight", "Tests.TotalInFlight"} {
		require.ErrorContains(t, err, field)
	}
	_, err = dispatch.New(memstore.New(),
		dispatch.Config{Tests: dispatch.TestLimits{PerMinute: dispatch.NoLimit,
			InFlight: dispatch.NoLimit, TotalInFlight: dispatch.NoLimit}})
	require.NoError(t, err)
}

// manyMessages is a channel of which each attempt sends as many messages as its config says.
type manyMessages struct {
	channel.Func
	Messages int
}

func (m *manyMessages) Capabilities() channel.Capabilities {
	return channel.Capabilities{Messages: m.Messages}
}

// A limit of tests counts messages: a test of one mail may go to many people.
func TestLimitsOfTestsCountMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{}, accept)
		require.NoError(t, b.Channels().Register("many",
			channel.DriverFunc(func(config json.RawMessage) (channel.Channel, error) {
				m := &manyMessages{Func: func(context.Context, *channel.Message) (channel.Result,
					error) {
					return channel.Result{}, nil
				}}
				return m, json.Unmarshal(config, m)
			})))
		test := func(messages string) (wait time.Duration) {
			sub := byConfig()
			sub.Channels = []webhook.ChannelConfig{{Channel: "many",
				Configs: json.RawMessage(`{"Messages": ` + messages + `}`)}}
			e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "o"})
			e.Namespace = "acme"
			_, err := b.SendTest(t.Context(), sub, e)
			if err == nil {
				return 0
			}
			var limit *webhook.LimitError
			require.ErrorAs(t, err, &limit)
			return limit.RetryAfter
		}
		assert.Zero(t, test("50"))
		assert.Equal(t, 40*time.Second, test("50"))
		assert.Zero(t, test("10"))
		assert.Equal(t, time.Second, test("0"), "an attempt counts at least once")
		time.Sleep(time.Minute)
		assert.Zero(t, test("180"), "more than a minute's worth, when nothing else was sent")
		assert.Equal(t, 2*time.Minute+time.Second, test("1"))
		time.Sleep(2*time.Minute + time.Second)
		assert.Zero(t, test("1"))
	})
}

// slowOpen is a driver that takes a second to open a channel, and counts.
type slowOpen struct{ opened, opening, most atomic.Int64 }

func (d *slowOpen) open(json.RawMessage) (channel.Channel, error) {
	d.opened.Add(1)
	for n, most := d.opening.Add(1), d.most.Load(); n > most && !d.most.CompareAndSwap(most, n); {
		most = d.most.Load()
	}
	time.Sleep(time.Second)
	d.opening.Add(-1)
	return channel.Func(func(context.Context, *channel.Message) (channel.Result, error) {
		return channel.Result{StatusCode: 200}, nil
	}), nil
}

// Templates are compiled for what a test sends to, and not if it is refused.
func TestARefusedTestOpensNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{Tests: dispatch.TestLimits{PerMinute: 4}}, accept)
		driver := &slowOpen{}
		require.NoError(t, b.Channels().Register("by_config", channel.DriverFunc(driver.open)))
		sub := byConfig(`{}`, `{}`, `{}`)
		test := func(keys ...string) error {
			_, err := b.SendTest(t.Context(), sub, newEvent(event.ObjectCreated), keys...)
			return err
		}
		require.NoError(t, test("by_config#2"))
		assert.EqualValues(t, 1, driver.opened.Load(), "what is not tested is not opened")
		require.NoError(t, test())
		assert.EqualValues(t, 4, driver.opened.Load())
		for range 5 {
			require.ErrorIs(t, test(), webhook.ErrLimit)
		}
		assert.EqualValues(t, 4, driver.opened.Load(), "a test that is refused costs nothing")

		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		<-ctx.Done()
		_, err := b.SendTest(ctx, sub, newEvent(event.ObjectCreated), "by_config")
		require.Error(t, err)
	})
}

// Whoever has channels opened, an organization that has many waits for those of others.
func TestChannelsAreOpenedInTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{}, accept)
		driver := &slowOpen{}
		require.NoError(t, b.Channels().Register("by_config", channel.DriverFunc(driver.open)))
		check := func(organization string) error {
			sub := byConfig(`{}`)
			sub.OrganizationID = organization
			return b.CheckSubscription(sub)
		}
		var attackers sync.WaitGroup
		for range 200 {
			attackers.Go(func() { assert.NoError(t, check("attacker")) })
		}
		time.Sleep(2500 * time.Millisecond)
		began := time.Now()
		require.NoError(t, check("victim"))
		assert.LessOrEqual(t, time.Since(began), 2*time.Second)
		attackers.Wait()
		assert.LessOrEqual(t, driver.most.Load(), max(2, int64(runtime.GOMAXPROCS(0))))
	})
}
