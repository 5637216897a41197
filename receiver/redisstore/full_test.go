package redisstore_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/redisstore"
)

// startServer starts a Redis of the test's own that evicts nothing. It listens on a unix socket, so
// that it needs no free port.
func startServer(t *testing.T) *redis.Client {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no redis-server, which CI=true requires: install it")
		}
		t.Skip("redis-server is not installed: a server that is full is not tested")
	}
	folder, err := os.MkdirTemp("", "redis") // short: the path of a socket has at most 107 bytes
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	socket := filepath.Join(folder, "s")
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "--port", "0", "--unixsocket", socket, "--dir", folder,
		"--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			t.Logf("redis-server said:\n%.4000s", output.String())
		}
	})
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: socket, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	require.Eventually(t, func() bool { return client.Ping(ctx).Err() == nil }, time.Minute,
		5*time.Millisecond, "redis-server does not listen")
	return client
}

// A full server refuses new events, and does not forget what it has: what was claimed before is
// extended and settled.
func TestFullServer(t *testing.T) {
	t.Parallel()
	client, ctx := startServer(t), t.Context()
	store := newDedupe(t, client, "")
	newClaim := func(lease time.Duration) receiver.Claim {
		c := receiver.Claim{Key: "evt_" + receiver.NewToken().String(), Token: receiver.NewToken()}
		standing, err := store.Claim(ctx, c, lease)
		require.NoError(t, err)
		require.Equal(t, receiver.Claimed, standing.State)
		return c
	}
	rival := func(c receiver.Claim) receiver.Claim {
		return receiver.Claim{Key: c.Key, Token: receiver.NewToken()}
	}
	running, done, dead := newClaim(time.Minute), newClaim(time.Minute), newClaim(time.Minute)
	released, late := newClaim(time.Minute), newClaim(time.Millisecond)
	require.Eventually(t, func() bool {
		return client.Time(ctx).Val().UnixMilli() > until(ctx, t, client, late)
	}, time.Minute, time.Millisecond)

	require.NoError(t, client.ConfigSet(ctx, "maxmemory", "1").Err())
	require.ErrorContains(t, client.Set(ctx, "a", "value", 0).Err(), "OOM")
	before := client.DBSize(ctx).Val()
	for range 3 {
		fresh := receiver.Claim{Key: "evt_new", Token: receiver.NewToken()}
		standing, err := store.Claim(ctx, fresh, time.Minute)
		require.ErrorContains(t, err, "OOM", "state %v", standing.State)
	}
	assert.Equal(t, before, client.DBSize(ctx).Val(), "nothing is stored of a claim that is refused")
	_, err := store.Claim(ctx, rival(late), time.Minute)
	require.ErrorContains(t, err, "OOM", "a lease that has ended is not taken over either")
	standing, err := store.Claim(ctx, rival(running), time.Minute)
	require.NoError(t, err, "what needs no memory is answered")
	assert.Equal(t, receiver.InFlight, standing.State)

	require.NoError(t, store.Extend(ctx, running, time.Hour))
	require.NoError(t, store.Done(ctx, done, 48*time.Hour))
	require.NoError(t, store.Dead(ctx, dead, "no such customer", 48*time.Hour))
	require.NoError(t, store.Release(ctx, released))
	require.NoError(t, store.Extend(ctx, late, time.Hour), "a refused claim has changed nothing")

	require.NoError(t, client.ConfigSet(ctx, "maxmemory", "0").Err())
	for _, tt := range []struct {
		claim receiver.Claim
		state receiver.State
		ttl   time.Duration
	}{
		{running, receiver.InFlight, time.Hour + receiver.Grace},
		{late, receiver.InFlight, time.Hour + receiver.Grace},
		{done, receiver.Done, 48 * time.Hour},
		{dead, receiver.Dead, 48 * time.Hour},
		{released, receiver.Claimed, time.Minute + receiver.Grace},
	} {
		standing, err := store.Claim(ctx, rival(tt.claim), time.Minute)
		require.NoError(t, err)
		assert.Equal(t, tt.state, standing.State)
		assert.InDelta(t, tt.ttl, client.PTTL(ctx, keyOf(tt.claim)).Val(), float64(time.Minute))
	}
}

func keyOf(c receiver.Claim) string { return redisstore.DefaultPrefix + "claim:" + c.Key }

// until returns when the lease of a claim ends, in Unix milliseconds.
func until(ctx context.Context, t *testing.T, client *redis.Client, c receiver.Claim) int64 {
	t.Helper()
	at, err := client.HGet(ctx, keyOf(c), "until").Int64()
	require.NoError(t, err)
	return at
}
