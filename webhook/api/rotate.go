package api

import (
	"net/http"
	"strings"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/configs"
)

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
	// SigningSecret is the new secret, which requests are signed with from now on, or Mask if the API
	// key may not reveal secrets.
	SigningSecret string `json:"signing_secret"`
	// VerificationKey is the public key for v1a signatures. Empty if the secret is not a key
	// pair.
	VerificationKey string `json:"verification_key,omitempty"`
	// Previous is how many earlier secrets requests are still signed with.
	Previous int `json:"previous"`
}

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
	done := &change{action: "rotate"}
	sub, err := a.change(r, done, func(stored *webhook.Subscription) (*webhook.Subscription, error) {
		i, err := a.signingChannel(stored, name, []any{"body", "channel"})
		if err != nil {
			return nil, err
		}
		done.channel = stored.ChannelKeys()[i]
		rotated, made, err := configs.Rotate(stored.Channels[i].Configs)
		if err != nil {
			return nil, err
		}
		stored.Channels[i].Configs = rotated
		res = RotateResponse{stored.ID, stored.ChannelKeys()[i], made.Secret, made.Public, made.Previous}
		if !r.holder.Reveal {
			res.SigningSecret = Mask
		}
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
	done := &change{action: "drop_previous"}
	sub, err := a.change(r, done, func(stored *webhook.Subscription) (*webhook.Subscription, error) {
		i, err := a.signingChannel(stored, name, at("channel"))
		if err != nil {
			return nil, err
		}
		done.channel = stored.ChannelKeys()[i]
		stored.Channels[i].Configs, err = configs.DropPrevious(stored.Channels[i].Configs)
		return stored, err
	})
	if err != nil {
		return nil, err
	}
	return a.subscriptionResponse(http.StatusOK, sub, nil)
}

// signingChannel returns the index of the channel with the key, or of the only channel that can
// sign, which is one whose secrets include a signing_secret.
func (a *API) signingChannel(sub *webhook.Subscription, name string, location []any) (int, error) {
	var can []int
	var names []string
	for i, key := range sub.ChannelKeys() {
		if a.fields.CanSign(sub.Channels[i].Channel) && (name == "" || name == key) {
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
