package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

// forwarder makes the requests of a webhook's channel, but to another URL. It opens the channel as
// the Dispatcher does, so that the bytes of the body, the headers and the signature are made by the
// same code.
type forwarder struct {
	channel        channel.Channel
	subscriptionID string
	channelKey     string
}

// forwardOptions say which channel is opened, and with which secrets.
type forwardOptions struct {
	credentials
	channelKey string
	target     string
}

// newForwarder reads the webhook, with its secrets unless they are given, and opens its channel.
func (a *app) newForwarder(
	ctx context.Context, c *client.Client, webhookID string, o forwardOptions,
) (*forwarder, error) {
	sub, err := c.Get(ctx, webhookID)
	if err != nil {
		return nil, err
	}
	index, err := httpChannel(&sub.Subscription, o.channelKey)
	if err != nil {
		return nil, err
	}
	signing, err := o.signing(a)
	if err != nil {
		return nil, err
	}
	static, err := o.static(a)
	if err != nil {
		return nil, err
	}
	raw := sub.Channels[index].Configs
	configs, err := withSecrets(raw, o, signing, static)
	if err != nil {
		return nil, err
	}
	if hidden := masked(configs, ""); len(hidden) > 0 {
		for i, path := range hidden {
			hidden[i] = "channels." + strconv.Itoa(index) + ".configs." + path
		}
		if sub, err = c.Get(ctx, webhookID, hidden...); err != nil {
			if errors.Is(err, api.ErrForbidden) {
				return nil, &hintError{err, "The API key may not reveal the webhook's secrets: give them with " +
					"--secret-file or --static-secret-file.", exitForbidden}
			}
			return nil, err
		}
		if len(sub.Channels) <= index {
			return nil, errors.New("the webhook has changed in the meantime")
		}
		if configs, err = withSecrets(sub.Channels[index].Configs, o, signing, static); err != nil {
			return nil, err
		}
	}
	f, err := openForwarder(webhookID, configs)
	if err == nil {
		f.channelKey = sub.ChannelKeys()[index]
	}
	return f, err
}

func openForwarder(webhookID string, configs map[string]any) (*forwarder, error) {
	raw, err := json.Marshal(configs)
	if err != nil {
		return nil, err
	}
	local, err := channelkit.NewHTTPClient(channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true})
	if err != nil {
		return nil, err
	}
	library, err := template.NewLibrary(template.LibraryConfig{Ready: template.ReadyAll})
	if err != nil {
		return nil, err
	}
	opened, err := httpendpoint.NewDriver(local, httpendpoint.Options{Library: library}).Open(raw)
	if err != nil {
		return nil, usagef("the webhook's channel: %v", err)
	}
	return &forwarder{channel: opened, subscriptionID: webhookID}, nil
}

// httpChannel returns the index of the channel with the key, or of the first that posts to a URL.
func httpChannel(sub *webhook.Subscription, key string) (int, error) {
	for i, k := range sub.ChannelKeys() {
		if sub.Channels[i].Channel == httpendpoint.Name && (key == "" || key == k) {
			return i, nil
		}
	}
	if key != "" {
		return 0, usagef("--channel must be one of %s that posts to a URL", strings.Join(sub.ChannelKeys(), ", "))
	}
	return 0, usagef("the webhook has no channel %q: only those have requests to forward", httpendpoint.Name)
}

// withSecrets returns the configs with the URL and the secrets that are given.
func withSecrets(
	raw json.RawMessage, o forwardOptions, signing []string, static string,
) (map[string]any, error) {
	var configs map[string]any
	if err := json.Unmarshal(raw, &configs); err != nil || configs == nil {
		return nil, errors.New("the API answered with configs that are no object")
	}
	configs["url"] = o.target
	if len(signing) > 0 {
		configs["signing_secret"] = signing[0]
		if delete(configs, "signing_secrets"); len(signing) > 1 {
			configs["signing_secrets"] = signing[1:]
		}
	}
	if static != "" {
		headers, ok := configs["headers"].(map[string]any)
		if !ok {
			headers = map[string]any{}
		}
		for name := range headers {
			if strings.EqualFold(name, o.staticHeader) {
				delete(headers, name)
			}
		}
		headers[o.staticHeader] = static
		configs["headers"] = headers
	}
	return configs, nil
}

// masked returns the paths of the secrets that are masked, as ?reveal= takes them.
func masked(v any, path string) (paths []string) {
	join := func(name string) string {
		if path == "" {
			return name
		}
		return path + "." + name
	}
	switch v := v.(type) {
	case string:
		if v == api.Mask {
			return []string{path}
		}
	case map[string]any:
		for name, member := range v {
			paths = append(paths, masked(member, join(name))...)
		}
	case []any:
		for i, member := range v {
			paths = append(paths, masked(member, join(strconv.Itoa(i)))...)
		}
	}
	slices.Sort(paths)
	return paths
}

// forwarded is an event that was forwarded, and a line of the answer of "listen" as JSON.
type forwarded struct {
	Position   webhook.Position `json:"position,omitzero"` // zero for a replay
	Replayed   bool             `json:"replayed,omitempty"`
	EventID    string           `json:"event_id"`
	EventType  string           `json:"event_type"`
	Succeeded  bool             `json:"succeeded"`
	StatusCode int              `json:"status_code,omitempty"`
	Error      string           `json:"error,omitempty"`
	Response   string           `json:"response,omitempty"`
}

// forward makes one request.
func (f *forwarder) forward(ctx context.Context, e *api.TailEvent) forwarded {
	out := forwarded{Position: e.Position, Replayed: e.Position == 0, EventID: e.EventID,
		EventType: e.EventType}
	m := &channel.Message{EventID: e.EventID, EventType: e.EventType, SubscriptionID: f.subscriptionID,
		Attempt: 1, Payload: e.Event}
	result, err := f.channel.Send(ctx, m)
	out.Succeeded = err == nil
	out.StatusCode, out.Response = result.StatusCode, result.Response
	if err != nil {
		out.Error = err.Error()
	}
	return out
}
