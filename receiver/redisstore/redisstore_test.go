package redisstore_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/dedupetest"
	"github.com/mixpeek/webhooks-go/receiver/invalidate"
	"github.com/mixpeek/webhooks-go/receiver/invalidate/counterstest"
	"github.com/mixpeek/webhooks-go/receiver/receivertest"
	"github.com/mixpeek/webhooks-go/receiver/redisstore"
)

// connect opens the Redis at WEBHOOKS_TEST_REDIS_ADDR, or else at the default address. The
// test has a prefix of its own, whose keys are removed at the end.
func connect(t *testing.T) (*redis.Client, string) {
	t.Helper()
	addr := os.Getenv("WEBHOOKS_TEST_REDIS_ADDR")
	if addr == "" {
		addr = "127.0.0.1:6379"
	}
	client := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 16})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	if err := client.Ping(t.Context()).Err(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no Redis, which CI=true requires; set WEBHOOKS_TEST_REDIS_ADDR: %v", err)
		}
		t.Skip("no Redis at WEBHOOKS_TEST_REDIS_ADDR or the default address")
	}
	prefix := "redisstore_test:" + receiver.NewToken().String() + ":"
	t.Cleanup(func() {
		ctx := context.Background()
		keys := client.Scan(ctx, 0, prefix+"*", 1000).Iterator()
		for keys.Next(ctx) {
			require.NoError(t, client.Unlink(ctx, keys.Val()).Err())
		}
		require.NoError(t, keys.Err())
	})
	return client, prefix
}

func newDedupe(t *testing.T, client *redis.Client, prefix string) *redisstore.Dedupe {
	t.Helper()
	store, err := redisstore.NewDedupe(client, redisstore.Config{Prefix: prefix})
	require.NoError(t, err)
	return store
}

func newCounters(t *testing.T, client *redis.Client, prefix string) *redisstore.Counters {
	t.Helper()
	counters, err := redisstore.NewCounters(client, redisstore.Config{Prefix: prefix})
	require.NoError(t, err)
	return counters
}

func TestNilClient(t *testing.T) {
	t.Parallel()
	_, err := redisstore.NewDedupe(nil, redisstore.Config{})
	require.ErrorContains(t, err, "client is nil")
	_, err = redisstore.NewCounters(nil, redisstore.Config{})
	require.ErrorContains(t, err, "client is nil")
}

func TestDedupeRules(t *testing.T) {
	t.Parallel()
	client, prefix := connect(t)
	dedupetest.Run(t, func(rule *testing.T) receiver.Deduper {
		if testing.Short() && strings.HasSuffix(rule.Name(), "one_wins") {
			rule.Skip("the rules of what happens at the same time take a part of a second of CPU time")
		}
		return newDedupe(t, client, prefix)
	})
}

func TestCounters(t *testing.T) {
	t.Parallel()
	client, prefix := connect(t)
	counterstest.Run(t, func(*testing.T) invalidate.Counters {
		return newCounters(t, client, prefix)
	})
}

// Numbers expire, also those of names that nobody has. They do not return.
func TestCountersExpire(t *testing.T) {
	t.Parallel()
	client, prefix := connect(t)
	ctx, counters := t.Context(), newCounters(t, client, prefix)
	_, err := counters.Read(ctx, "read", "both")
	require.NoError(t, err)
	require.NoError(t, counters.Bump(ctx, "bumped", "both"))
	for _, name := range []string{"read", "bumped", "both"} {
		ttl := client.PTTL(ctx, prefix+"generation:"+name).Val()
		assert.InDelta(t, 30*24*time.Hour, ttl, float64(time.Minute), name)
	}
	before, err := counters.Read(ctx, "read", "bumped", "both")
	require.NoError(t, err)
	for _, name := range []string{"read", "bumped", "both"} {
		require.NoError(t, client.PExpire(ctx, prefix+"generation:"+name, time.Millisecond).Err())
		require.Eventually(t, func() bool {
			return client.Exists(ctx, prefix+"generation:"+name).Val() == 0
		}, time.Minute, time.Millisecond)
	}
	after, err := counters.Read(ctx, "read", "bumped", "both")
	require.NoError(t, err)
	for i := range before {
		assert.Greater(t, after[i], before[i])
	}
}

// Scripts that the server has lost, as after a restart, are sent again. The test is not
// parallel, because the server loses those of other tests too.
func TestScriptsAreSentAgain(t *testing.T) {
	client, prefix := connect(t)
	store := newDedupe(t, client, prefix)
	counters := newCounters(t, client, prefix)
	for range 2 {
		require.NoError(t, client.ScriptFlush(t.Context()).Err())
		c := receiver.Claim{Key: "evt_" + receiver.NewToken().String(), Token: receiver.NewToken()}
		_, err := store.Claim(t.Context(), c, time.Hour)
		require.NoError(t, err)
		require.NoError(t, store.Extend(t.Context(), c, time.Hour))
		require.NoError(t, store.Done(t.Context(), c, time.Hour))
		numbers, err := counters.Read(t.Context(), "a", "b")
		require.NoError(t, err)
		assert.NotZero(t, numbers[0])
		require.NoError(t, counters.Bump(t.Context(), "a"))
	}
}

// Keys expire, and the hash of a dead event has the reason.
func TestWhatIsStored(t *testing.T) {
	t.Parallel()
	client, prefix := connect(t)
	ctx := t.Context()
	store := newDedupe(t, client, prefix)
	c := receiver.Claim{Key: "evt_1", Token: receiver.NewToken()}
	_, err := store.Claim(ctx, c, time.Minute)
	require.NoError(t, err)
	ttl := client.PTTL(ctx, prefix+"claim:evt_1").Val()
	assert.InDelta(t, time.Minute+receiver.Grace, ttl, float64(10*time.Second))
	require.NoError(t, store.Dead(ctx, c, "no such customer", 48*time.Hour))
	ttl = client.PTTL(ctx, prefix+"claim:evt_1").Val()
	assert.InDelta(t, 48*time.Hour, ttl, float64(10*time.Second))
	assert.Equal(t, "no such customer", client.HGet(ctx, prefix+"claim:evt_1", "reason").Val())

	// The time of a key has passed, and Redis still has it.
	require.NoError(t, client.HSet(ctx, prefix+"claim:evt_1", "until", 1).Err())
	c.Token = receiver.NewToken()
	_, err = store.Claim(ctx, c, time.Minute)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"state", "token", "until"},
		client.HKeys(ctx, prefix+"claim:evt_1").Val(), "a claim has no reason")
	require.NoError(t, store.Done(ctx, c, 0))
	require.Eventually(t, func() bool {
		return client.Exists(ctx, prefix+"claim:evt_1").Val() == 0
	}, time.Minute, time.Millisecond, "what is not kept is removed")
}

// A key that another program has written is an error, and is not changed.
func TestForeignKey(t *testing.T) {
	t.Parallel()
	client, prefix := connect(t)
	store := newDedupe(t, client, prefix)
	require.NoError(t, client.Set(t.Context(), prefix+"claim:evt_1", "mine", 0).Err())
	_, err := store.Claim(t.Context(), receiver.Claim{Key: "evt_1"}, time.Hour)
	require.Error(t, err)
	assert.Equal(t, "mine", client.Get(t.Context(), prefix+"claim:evt_1").Val())
}

// If the server cannot be reached, all calls fail.
func TestServerAway(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer func() { _ = client.Close() }()
	store := newDedupe(t, client, "")
	c := receiver.Claim{Key: "evt_1", Token: receiver.NewToken()}
	_, err = store.Claim(t.Context(), c, time.Hour)
	require.Error(t, err)
	for _, err := range []error{
		store.Done(t.Context(), c, time.Hour), store.Release(t.Context(), c),
		newCounters(t, client, "").Bump(t.Context(), "a"),
		redisstore.Keys(client, "")(t.Context(), "a"),
	} {
		require.Error(t, err)
		assert.NotErrorIs(t, err, receiver.ErrStaleToken)
	}
	_, err = newCounters(t, client, "").Read(t.Context(), "a")
	assert.Error(t, err)
}

// hung returns a client without timeouts of a server that accepts connections and does not
// answer. asked gets a value for each connection on which a request has arrived.
func hung(t *testing.T) (client *redis.Client, asked <-chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	questions := make(chan struct{}, 100)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				if _, err := conn.Read(make([]byte, 1)); err == nil {
					questions <- struct{}{}
				}
				_, _ = io.Copy(io.Discard, conn) // until the client is closed
			}()
		}
	}()
	client = redis.NewClient(&redis.Options{Addr: listener.Addr().String(), ReadTimeout: -1,
		WriteTimeout: -1, PoolSize: 16})
	t.Cleanup(func() { _ = client.Close() })
	return client, questions
}

// A call ends with its context, even if the client has no timeouts.
func TestServerHangs(t *testing.T) {
	t.Parallel()
	client, asked := hung(t)
	store, counters := newDedupe(t, client, ""), newCounters(t, client, "")
	c := receiver.Claim{Key: "evt_1", Token: receiver.NewToken()}
	for name, call := range map[string]func(context.Context) error{
		"claim": func(ctx context.Context) error {
			_, err := store.Claim(ctx, c, time.Hour)
			return err
		},
		"extend": func(ctx context.Context) error { return store.Extend(ctx, c, time.Hour) },
		"done":   func(ctx context.Context) error { return store.Done(ctx, c, time.Hour) },
		"dead": func(ctx context.Context) error {
			return store.Dead(ctx, c, "reason", time.Hour)
		},
		"release": func(ctx context.Context) error { return store.Release(ctx, c) },
		"bump":    func(ctx context.Context) error { return counters.Bump(ctx, "a") },
		"read": func(ctx context.Context) error {
			_, err := counters.Read(ctx, "a")
			return err
		},
		"keys": func(ctx context.Context) error { return redisstore.Keys(client, "")(ctx, "a") },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- call(ctx) }()
		<-asked
		cancel()
		select {
		case err := <-ended:
			require.ErrorIs(t, err, context.Canceled, name)
		case <-time.After(time.Minute):
			t.Fatalf("%s does not return when its context is done", name)
		}
	}
}

// cutting is a proxy in front of the server of client that loses the reply to the next script
// after cut is set: it closes the connection instead.
type cutting struct {
	addr string
	cut  atomic.Bool
}

func newCutting(t *testing.T, client *redis.Client) *cutting {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	p := &cutting{addr: listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(conn, client.Options().Addr)
		}
	}()
	return p
}

// serve forwards requests and replies in turn, which is how a client sends single commands.
func (p *cutting) serve(conn net.Conn, addr string) {
	defer func() { _ = conn.Close() }()
	server, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var lose atomic.Bool
	go func() {
		defer func() { _ = conn.Close() }()
		reply := make([]byte, 1<<16)
		for {
			n, err := server.Read(reply)
			if err != nil || lose.Load() {
				return
			}
			if _, err := conn.Write(reply[:n]); err != nil {
				return
			}
		}
	}()
	request := make([]byte, 1<<16)
	for {
		n, err := conn.Read(request)
		if err != nil {
			return
		}
		if bytes.Contains(request[:n], []byte("evalsha")) && p.cut.CompareAndSwap(true, false) {
			lose.Store(true)
		}
		if _, err := server.Write(request[:n]); err != nil {
			return
		}
	}
}

// go-redis repeats a call whose reply it has not got. The server may have carried it out, and
// what the caller gets is as if it had not.
func TestRepliesThatAreLost(t *testing.T) {
	t.Parallel()
	direct, prefix := connect(t)
	proxy := newCutting(t, direct)
	client := redis.NewClient(&redis.Options{Addr: proxy.addr, PoolSize: 1})
	t.Cleanup(func() { _ = client.Close() })
	store, ctx := newDedupe(t, client, prefix), t.Context()
	newClaim := func() receiver.Claim {
		return receiver.Claim{Key: "evt_" + receiver.NewToken().String(), Token: receiver.NewToken()}
	}
	claim := func(c receiver.Claim, lease time.Duration, want receiver.State) receiver.Standing {
		t.Helper()
		standing, err := store.Claim(ctx, c, lease)
		require.NoError(t, err)
		require.Equal(t, want, standing.State)
		return standing
	}
	lost := func(call func()) {
		t.Helper()
		proxy.cut.Store(true)
		call()
		require.False(t, proxy.cut.Load(), "no reply was lost")
	}
	first := newClaim() // so that the server knows the scripts
	claim(first, time.Hour, receiver.Claimed)
	require.NoError(t, store.Extend(ctx, first, time.Hour))
	require.NoError(t, store.Done(ctx, first, time.Hour))

	c, rival := newClaim(), newClaim()
	rival.Key = c.Key
	lost(func() { claim(c, time.Hour, receiver.Claimed) })
	standing := claim(rival, time.Hour, receiver.InFlight)
	assert.InDelta(t, time.Hour, standing.Remaining, float64(time.Minute))
	lost(func() { require.NoError(t, store.Extend(ctx, c, 2*time.Hour)) })
	lost(func() { claim(rival, time.Hour, receiver.InFlight) })
	lost(func() { require.NoError(t, store.Done(ctx, c, time.Hour)) })
	claim(c, time.Hour, receiver.Done)
	lost(func() { claim(rival, time.Hour, receiver.Done) })
}

// If Redis hangs, the sender gets 503.
func TestServerHangsIsUnavailable(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	client, _ := hung(t)
	results := make(chan receiver.Result, 1)
	rcv, err := receiver.New(receiver.Config{
		Secrets: []receiver.Secret{{Value: "correct-horse-battery-staple"}}, AllowHTTP: true,
		Dedupe: newDedupe(t, client, ""), ClaimTimeout: 10 * time.Millisecond,
		Hooks: receiver.Hooks{OnResult: func(r receiver.Result) { results <- r }},
	})
	require.NoError(t, err)
	h := rcv.Handler(receiver.HandlerFunc(func(context.Context, *event.Event) error { return nil }))
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, receivertest.NewRequest(t,
		receivertest.Credentials{Secret: "correct-horse-battery-staple"}, e))
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Equal(t, receiver.Unavailable, (<-results).Outcome)
}

func TestKeys(t *testing.T) {
	t.Parallel()
	client, prefix := connect(t)
	ctx := t.Context()
	for _, key := range []string{"a", "b", "c"} {
		require.NoError(t, client.Set(ctx, prefix+key, "value", time.Minute).Err())
	}
	keys := redisstore.Keys(client, prefix)
	require.NoError(t, keys.Invalidate(ctx,
		&event.Event{CacheScope: event.KeyScope("a", "b", "absent")}))
	assert.Equal(t, int64(1), client.Exists(ctx, prefix+"a", prefix+"b", prefix+"c").Val())
}
