package api

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/webhook"
)

// maxPrevious is how many earlier signing secrets stay in use.
const maxPrevious = 3

// RotateRequest asks for a new signing secret.
type RotateRequest struct {
	// Channel is the key of the channel (see TestRequest). It may be empty if only one channel of
	// the webhook can sign.
	Channel string `json:"channel,omitempty"`
}

// RotateResponse holds the new signing secret.
type RotateResponse struct {
	SubscriptionID string `json:"webhook_id"`
	Channel        string `json:"channel"`
	// SigningSecret is the new secret, which requests are signed with from now on.
	SigningSecret string `json:"signing_secret"`
	// VerificationKey is the public key for v1a signatures. Empty if the secret is not a key
	// pair.
	VerificationKey string `json:"verification_key,omitempty"`
	// Previous is how many earlier secrets requests are still signed with.
	Previous int `json:"previous"`
}

const (
	fieldSecret   = "signing_secret"
	fieldPrevious = "signing_secrets"
)

// rotateSecret adds a new signing secret before the present one. Requests are signed with both
// until dropSecrets, so that receivers can change to the new one at any time. A channel that did
// not sign begins to.
func (a *API) rotateSecret(r *request) (*response, error) {
	p := &problems{}
	name := ""
	if o := optionalObject(p, r.body); o != nil {
		name = o.text("channel")
		o.end()
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	var res RotateResponse
	sub, err := a.change(r, func(stored *webhook.Subscription) (*webhook.Subscription, error) {
		i, err := a.signingChannel(stored, name, []any{"body", "channel"})
		if err != nil {
			return nil, err
		}
		config, err := readSigning(stored.Channels[i].Configs)
		if err != nil {
			return nil, err
		}
		secret, public := newSecret(config.current())
		config.secrets = append([]string{secret},
			config.secrets[:min(len(config.secrets), maxPrevious)]...)
		if stored.Channels[i].Configs, err = config.write(); err != nil {
			return nil, err
		}
		res = RotateResponse{stored.ID, stored.ChannelKeys()[i], secret, public, len(config.secrets) - 1}
		return stored, nil
	})
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK, body: res, header: map[string]string{"ETag": etag(sub)}},
		nil
}

// dropSecrets ends a rotation: only the newest secret is kept.
func (a *API) dropSecrets(r *request) (*response, error) {
	p := &problems{}
	q := newQuery(p, r)
	name := q.text("channel")
	q.end()
	if err := p.err(); err != nil {
		return nil, err
	}
	sub, err := a.change(r, func(stored *webhook.Subscription) (*webhook.Subscription, error) {
		i, err := a.signingChannel(stored, name, at("channel"))
		if err != nil {
			return nil, err
		}
		config, err := readSigning(stored.Channels[i].Configs)
		if err != nil {
			return nil, err
		}
		config.secrets = config.secrets[:min(len(config.secrets), 1)]
		stored.Channels[i].Configs, err = config.write()
		return stored, err
	})
	if err != nil {
		return nil, err
	}
	return a.subscriptionResponse(http.StatusOK, sub, nil)
}

// newSecret makes a secret of the same kind as the present one.
func newSecret(present string) (secret, public string) {
	key := signature.NewKey()
	if old, err := signature.ParseKey(present); err == nil {
		if _, pair := old.Public(); pair {
			key = signature.NewKeyPair()
		}
	}
	if verifies, ok := key.Public(); ok {
		public = verifies.Reveal()
	}
	return key.Reveal(), public
}

// signingChannel returns the index of the channel with the key, or of the only channel that can
// sign, which is one whose secrets include a signing_secret.
func (a *API) signingChannel(sub *webhook.Subscription, name string, location []any) (int, error) {
	var can []int
	var names []string
	for i, key := range sub.ChannelKeys() {
		if a.fields.canSign(sub.Channels[i].Channel) && (name == "" || name == key) {
			can = append(can, i)
			names = append(names, key)
		}
	}
	if len(can) == 1 {
		return can[0], nil
	}
	p := &problems{}
	switch {
	case name != "":
		p.add(location, typeValue, "must be the key of a channel that can sign")
	case len(can) == 0:
		p.add(location, typeValue, "is not possible: no channel of the webhook can sign")
	default:
		p.add(location, typeMissing, "must be one of %s", strings.Join(names, ", "))
	}
	return 0, p
}

// signing is the configs of a channel that can sign, and its secrets, the newest first.
type signing struct {
	members map[string]json.RawMessage
	secrets []string
}

func readSigning(configs json.RawMessage) (s signing, err error) {
	if err := json.Unmarshal(configs, &s.members); err != nil {
		return s, err
	}
	if s.members == nil { // the configs are null
		s.members = make(map[string]json.RawMessage)
	}
	var current string
	for field, value := range map[string]any{fieldSecret: &current, fieldPrevious: &s.secrets} {
		if raw := s.members[field]; raw != nil {
			if err := json.Unmarshal(raw, value); err != nil {
				return s, err
			}
		}
	}
	if current != "" {
		s.secrets = append([]string{current}, s.secrets...)
	}
	return s, nil
}

func (s signing) current() string {
	if len(s.secrets) == 0 {
		return ""
	}
	return s.secrets[0]
}

func (s signing) write() (json.RawMessage, error) {
	delete(s.members, fieldSecret)
	delete(s.members, fieldPrevious)
	set := func(field string, value any) error {
		raw, err := json.Marshal(value)
		s.members[field] = raw
		return err
	}
	if len(s.secrets) > 0 {
		if err := set(fieldSecret, s.secrets[0]); err != nil {
			return nil, err
		}
	}
	if len(s.secrets) > 1 {
		if err := set(fieldPrevious, s.secrets[1:]); err != nil {
			return nil, err
		}
	}
	return json.Marshal(s.members)
}
