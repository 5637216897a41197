package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Sealer encrypts the configs of channels. Package webhook/seal has one with keys in memory;
// another one can use a key management service. It must be safe for concurrent use, and its errors
// must not contain what it seals or opens.
type Sealer interface {
	// KeyID returns the id of the key that Seal uses. It is stored in clear next to the sealed value,
	// and must not change while the Sealer is in use.
	KeyID() string
	// Seal encrypts the plaintext so that it can be opened only with the same additional data. It must
	// not keep the two slices.
	Seal(ctx context.Context, plaintext, additionalData []byte) ([]byte, error)
	// Open returns the plaintext of a value that was sealed with this key and this additional data.
	// Otherwise it returns an error.
	Open(ctx context.Context, keyID string, sealed, additionalData []byte) ([]byte, error)
}

// SealedError says that a subscription cannot be read because the configs of one of its channels
// could not be opened. Usually their key is missing.
type SealedError struct {
	SubscriptionID string
	// Channel is the channel's key: see [webhook.Subscription.ChannelKeys].
	Channel string
	// KeyID names the key that is needed.
	KeyID string
	// Err is the Sealer's error.
	Err error
}

// Error names the subscription, the channel and the key.
func (e *SealedError) Error() string {
	return fmt.Sprintf("sqlstore: subscription %s: the configs of its channel %q are sealed with "+
		"the key %q: %v",
		e.SubscriptionID, e.Channel, e.KeyID, e.Err)
}

// Unwrap returns Err.
func (e *SealedError) Unwrap() error { return e.Err }

var errNoSealer = errors.New("they cannot be opened without a Config.Sealer")

// storedSubscription is a subscription as its row has it, perhaps with sealed configs.
type storedSubscription struct {
	webhook.Subscription // with the configs that are in clear

	channels []byte           // the row's JSON
	sealed   []*sealedConfigs // by channel; nil: in clear
}

// storedChannel is the JSON of a channel in a row: a [webhook.ChannelConfig], or
// one with sealed configs.
type storedChannel struct {
	Channel string          `json:"channel"`
	Configs json.RawMessage `json:"configs,omitempty"`
	Sealed  *sealedConfigs  `json:"sealed,omitempty"`
}

type sealedConfigs struct {
	Key  string `json:"key"`
	Data []byte `json:"data"`
}

func (w *storedSubscription) decodeChannels() error {
	var channels []storedChannel
	if err := json.Unmarshal(w.channels, &channels); err != nil {
		return fmt.Errorf("sqlstore: subscription %s: its channels: %w", w.ID, err)
	}
	for _, c := range channels {
		w.Channels = append(w.Channels, webhook.ChannelConfig{Channel: c.Channel, Configs: c.Configs})
		w.sealed = append(w.sealed, c.Sealed)
	}
	return nil
}

// openConfigs opens the subscription's configs. Those that it cannot open are null, and the
// error is that of the first of them.
func (s *Store) openConfigs(ctx context.Context, w *storedSubscription) (first error) {
	keys := w.ChannelKeys()
	for i, sealed := range w.sealed {
		if sealed == nil {
			continue
		}
		configs, err := []byte(nil), errNoSealer
		if s.sealer != nil {
			configs, err = s.sealer.Open(ctx, sealed.Key, sealed.Data,
				additionalDataFor(&w.Subscription, keys[i]))
		}
		if err != nil {
			configs = []byte("null")
			if first == nil {
				first = &SealedError{SubscriptionID: w.ID, Channel: keys[i], KeyID: sealed.Key, Err: err}
			}
		}
		w.Channels[i].Configs = configs
	}
	return first
}

// encodeChannels returns the JSON of the subscription's channels, with the configs
// sealed if there is a Sealer.
func (s *Store) encodeChannels(ctx context.Context, sub *webhook.Subscription) (string, error) {
	keys := sub.ChannelKeys()
	channels := make([]storedChannel, len(sub.Channels))
	for i, c := range sub.Channels {
		configs, err := json.Marshal(c.Configs)
		if err != nil {
			return "", fmt.Errorf("sqlstore: a channel's configs must be JSON: %w", err)
		}
		channels[i] = storedChannel{Channel: c.Channel, Configs: configs}
		if s.sealer == nil {
			continue
		}
		data, err := s.sealer.Seal(ctx, configs, additionalDataFor(sub, keys[i]))
		if err != nil {
			return "", fmt.Errorf("sqlstore: sealing the configs of the channel %q of subscription %s: %w",
				keys[i], sub.ID, err)
		}
		channels[i] = storedChannel{Channel: c.Channel, Sealed: &sealedConfigs{s.sealer.KeyID(), data}}
	}
	encoded, err := json.Marshal(channels)
	return string(encoded), err
}

// additionalDataFor returns the additional data of a channel's configs. It keeps a person who can
// write to the database from copying sealed configs into a subscription of another organization,
// or to another channel, which would send the secrets elsewhere. Changing it makes all sealed
// configs unreadable.
func additionalDataFor(sub *webhook.Subscription, channelKey string) []byte {
	data := []byte("webhooks: configs of a channel")
	for _, part := range []string{sub.OrganizationID, sub.ID, channelKey} {
		data = append(strconv.AppendInt(append(data, ' '), int64(len(part)), 10), ':')
		data = append(data, part...)
	}
	return data
}

// resealPage is how many subscriptions Reseal reads at a time, and the most that it rewrites in one
// transaction.
const resealPage = 50

// maxResealErrors bounds how many subscriptions the error of Reseal names.
const maxResealErrors = 10

type resealStatements struct {
	page, swap string
}

func newResealStatements(x expander) resealStatements {
	return resealStatements{
		page: x.sql(`SELECT ` + subscriptionColumns + ` FROM {p}webhooks
			WHERE id > ? ORDER BY id LIMIT ?`),
		// The revision stays, because the subscription has not changed. No other change is lost, because
		// the text must be the one that was read.
		swap: x.sql(`UPDATE {p}webhooks SET channels = ? WHERE id = ? AND organization_id = ?
			AND channels = ?`),
	}
}

// Reseal seals the configs that are stored in clear or with another key than the one of
// Config.Sealer. It returns how many subscriptions it rewrote. After it has returned without an
// error, no stored configs need another key, unless a process with another configuration wrote some
// in the meantime.
//
// It works in small transactions, while this process and others may go on working. It can be
// cancelled and called again, and does not repeat what is done. Subscriptions and their revisions
// do not change.
//
// It skips subscriptions that cannot be opened. The error names up to ten of them, each as a
// [SealedError].
func (s *Store) Reseal(ctx context.Context) (resealed int, err error) {
	if s.sealer == nil {
		return 0, errors.New("sqlstore: Reseal needs a Config.Sealer")
	}
	var unreadable []error // maxResealErrors of them
	failed := 0
	for after := ""; ; {
		p, err := s.resealAfter(ctx, after)
		resealed += p.resealed
		if err != nil {
			return resealed, err
		}
		if p.overtaken {
			continue // look again
		}
		unreadable = append(unreadable,
			p.unreadable[:min(len(p.unreadable), maxResealErrors-len(unreadable))]...)
		failed += len(p.unreadable)
		if p.last == "" {
			break
		}
		after = p.last
	}
	if more := failed - len(unreadable); more > 0 {
		unreadable = append(unreadable, fmt.Errorf("sqlstore: and %d more subscriptions", more))
	}
	return resealed, errors.Join(unreadable...)
}

// resealedPage is the result for one page of subscriptions.
type resealedPage struct {
	resealed   int
	overtaken  bool // another process changed a subscription after it was read
	unreadable []error
	last       string // the id that the page ends with, empty after the last page
}

func (s *Store) resealAfter(ctx context.Context, after string) (p resealedPage, err error) {
	var stale []*storedSubscription
	err = collect(ctx, s.read, func(rows scanner) error {
		w, err := scanSubscription(rows)
		if err != nil {
			return err
		}
		p.last = w.ID
		if !s.usesCurrentKey(w) {
			stale = append(stale, w)
		}
		return nil
	}, s.reseal.page, after, resealPage)
	if err != nil {
		return p, s.mapped(err)
	}
	var swaps [][]any
	for _, w := range stale {
		if err := s.openConfigs(ctx, w); err != nil {
			p.unreadable = append(p.unreadable, err)
			continue
		}
		channels, err := s.encodeChannels(ctx, &w.Subscription)
		if err != nil {
			return p, err
		}
		swaps = append(swaps, []any{channels, w.ID, w.OrganizationID, string(w.channels)})
	}
	if len(swaps) == 0 {
		return p, ctx.Err()
	}
	var changed int64
	err = s.write(ctx, func(ctx context.Context, q Querier) error {
		changed = 0
		for _, args := range swaps {
			n, err := q.Exec(ctx, s.reseal.swap, args...)
			if err != nil {
				return err
			}
			changed += n
		}
		return nil
	})
	if err != nil {
		return p, err
	}
	p.resealed, p.overtaken = int(changed), changed < int64(len(swaps))
	return p, nil
}

// usesCurrentKey reports whether all configs are sealed with the Sealer's key.
func (s *Store) usesCurrentKey(w *storedSubscription) bool {
	return !slices.ContainsFunc(w.sealed,
		func(c *sealedConfigs) bool { return c == nil || c.Key != s.sealer.KeyID() })
}
