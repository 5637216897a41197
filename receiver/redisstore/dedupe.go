package redisstore

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mixpeek/webhooks-go/receiver"
)

// The scripts use the server's clock, so that the clocks of processes may differ.
var (
	//go:embed claim.lua
	claimLua string
	//go:embed extend.lua
	extendLua string
	//go:embed settle.lua
	settleLua string
	//go:embed release.lua
	releaseLua string
)

// Dedupe is a [receiver.Deduper] in Redis. Each key is a hash, which expires. It is safe for
// concurrent use, and many processes may share the keys.
type Dedupe struct {
	client                         redis.Scripter
	prefix                         string
	claim, extend, settle, release *redis.Script
}

// NewDedupe returns a Dedupe in Redis. client is any client of go-redis; nil is an
// error.
func NewDedupe(client redis.Scripter, config Config) (*Dedupe, error) {
	if client == nil {
		return nil, errNoClient
	}
	return &Dedupe{
		client:  client,
		prefix:  config.prefix("claim:"),
		claim:   redis.NewScript(claimLua),
		extend:  redis.NewScript(extendLua),
		settle:  redis.NewScript(settleLua),
		release: redis.NewScript(releaseLua),
	}, nil
}

// Claim implements [receiver.Deduper].
func (s *Dedupe) Claim(
	ctx context.Context, c receiver.Claim, lease time.Duration,
) (receiver.Standing, error) {
	reply, err := await(ctx, func() ([]any, error) {
		return s.claim.Run(ctx, s.client, s.keys(c), c.Token.String(), lease.Milliseconds(),
			receiver.Grace.Milliseconds()).Slice()
	})
	if err != nil {
		return receiver.Standing{}, fmt.Errorf("redisstore: claim: %w", err)
	}
	if len(reply) != 2 {
		return receiver.Standing{}, errReply
	}
	state, _ := reply[0].(string)
	remaining, _ := reply[1].(int64)
	switch state {
	case "":
		return receiver.Standing{State: receiver.Claimed}, nil
	case "claimed":
		return receiver.Standing{State: receiver.InFlight,
			Remaining: time.Duration(remaining) * time.Millisecond}, nil
	case "done":
		return receiver.Standing{State: receiver.Done}, nil
	case "dead":
		return receiver.Standing{State: receiver.Dead}, nil
	}
	return receiver.Standing{}, errReply
}

// errReply is for a key that another program has written.
var errReply = errors.New("redisstore: claim: the key holds no claim")

// Extend implements [receiver.Deduper].
func (s *Dedupe) Extend(ctx context.Context, c receiver.Claim, lease time.Duration) error {
	return s.held(ctx, "extend", s.extend, c, lease.Milliseconds(), receiver.Grace.Milliseconds())
}

// Done implements [receiver.Deduper].
func (s *Dedupe) Done(ctx context.Context, c receiver.Claim, keep time.Duration) error {
	return s.held(ctx, "done", s.settle, c, "done", keep.Milliseconds(), "")
}

// Dead implements [receiver.Deduper]. The hash has the reason.
func (s *Dedupe) Dead(
	ctx context.Context, c receiver.Claim, reason string, keep time.Duration,
) error {
	return s.held(ctx, "dead", s.settle, c, "dead", keep.Milliseconds(), reason)
}

// Release implements [receiver.Deduper].
func (s *Dedupe) Release(ctx context.Context, c receiver.Claim) error {
	return s.held(ctx, "release", s.release, c)
}

func (s *Dedupe) keys(c receiver.Claim) []string { return []string{s.prefix + c.Key} }

// held runs a script on a claim. The script returns whether it found the claim's token.
func (s *Dedupe) held(
	ctx context.Context, op string, script *redis.Script, c receiver.Claim, args ...any,
) error {
	args = append([]any{c.Token.String()}, args...)
	ok, err := await(ctx, func() (bool, error) {
		return script.Run(ctx, s.client, s.keys(c), args...).Bool()
	})
	if err != nil {
		return fmt.Errorf("redisstore: %s: %w", op, err)
	}
	if !ok {
		return receiver.ErrStaleToken
	}
	return nil
}
