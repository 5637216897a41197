package receiver

import (
	"fmt"
	"slices"
	"sync"

	"github.com/mixpeek/webhooks-go/event"
)

// A Receiver checks incoming webhooks, calls a handler for each event, and skips events that were
// handled before. Make one with [New]. It is safe for concurrent use and does nothing between
// requests. While a handler runs, a timer may call Deduper.Extend from another goroutine.
type Receiver struct {
	cfg     Config
	secrets *secretChecker // nil: no static secret is required
	// strangers and senders bound what is read of bodies that are refused.
	strangers, senders drain
	// noDeadline makes the warning about a ResponseWriter without deadlines once.
	noDeadline sync.Once
}

// New returns a Receiver, or an error that wraps an [*event.ValidationError] with all
// problems of the configuration.
func New(config Config) (*Receiver, error) {
	cfg := config.withDefaults()
	var problems event.Problems
	cfg.check(&problems)
	secrets := newSecretChecker(cfg.SecretHeader, cfg.Secrets, &problems)
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("receiver: New: %w", err)
	}
	for i, s := range cfg.Secrets {
		if len(s.Value) < shortSecret {
			cfg.Logger.Warn("receiver: static secret is short",
				"secret", i, "bytes", len(s.Value), "advised", shortSecret)
		}
	}
	cfg.Secrets = nil // only the hashes are needed from now on
	// What the caller does with its lists afterwards is nothing that was checked.
	cfg.TrustedProxies = slices.Clone(cfg.TrustedProxies)
	cfg.ContentTypes = slices.Clone(cfg.ContentTypes)
	return &Receiver{
		cfg: cfg, secrets: secrets,
		strangers: newDrain(strangerDrainBytes, strangerDrainTime),
		senders:   newDrain(senderDrainBytes, senderDrainTime),
	}, nil
}
