package receiver

import (
	"sync"

	"github.com/mixpeek/webhooks-go/event"
)

// A Receiver checks incoming webhooks and sees to it that each event is
// handled once. Make one with [New]. It is safe for concurrent use and starts
// no goroutines of its own.
type Receiver struct {
	cfg     Config
	secrets *secretChecker // nil: no static secret is asked for
	// What is read of bodies that are refused.
	strangers, senders drain
	// noDeadline is for the warning about ResponseWriters that know none.
	noDeadline sync.Once
}

// New returns a Receiver. A configuration that cannot work is refused with an
// [*event.ValidationError] that names every problem at once.
func New(config Config) (*Receiver, error) {
	cfg := config.withDefaults()
	var problems event.Problems
	cfg.check(&problems)
	secrets := newSecretChecker(cfg.SecretHeader, cfg.Secrets, &problems)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	for i, s := range cfg.Secrets {
		if len(s.Value) < shortSecret {
			cfg.Logger.Warn("receiver: static secret is short and may be guessed",
				"secret", i, "bytes", len(s.Value), "advised", shortSecret)
		}
	}
	cfg.Secrets = nil // only the hashes are needed from here on
	return &Receiver{
		cfg: cfg, secrets: secrets,
		strangers: newDrain(strangerDrainBytes, strangerDrainTime),
		senders:   newDrain(senderDrainBytes, senderDrainTime),
	}, nil
}
