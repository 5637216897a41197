package api

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
)

// sameTarget says whether messages of both configs go to the same place, so that
// a secret of the one may stand in the other: see [channel.Field]. Masks stand for
// what is stored.
func (f configFields) sameTarget(channelName string, now, stored *webhook.ChannelConfig) bool {
	a, errA := f.targets(channelName, now)
	b, errB := f.targets(channelName, stored)
	if errA != nil || errB != nil {
		return false
	}
	for path, target := range a {
		if target != Mask {
			continue
		}
		if same, ok := b[path]; ok {
			a[path] = same
		} else {
			delete(a, path)
		}
	}
	return maps.Equal(a, b)
}

// targets returns what decides where messages go, by path.
func (f configFields) targets(channelName string, c *webhook.ChannelConfig) (map[pathKey]string, error) {
	fields, listed := f.fields(channelName)
	marked := slices.ContainsFunc(fields, func(field channel.Field) bool { return field.Target })
	leaves, err := jsonLeaves(c.Configs, func(name string) bool {
		return marked && !slices.ContainsFunc(fields, func(field channel.Field) bool { return field.Name == name && field.Target })
	})
	if err != nil {
		return nil, err
	}
	targets := map[pathKey]string{}
	for _, leaf := range leaves {
		value := leafText(c.Configs[leaf.start:leaf.end])
		origin, isURL := originOf(value)
		switch {
		case value == "": // is no target
			continue
		case isURL:
			value = origin
		case listed && !marked && value != Mask:
			continue
		}
		targets[leaf.path.key()] = value
	}
	return targets, nil
}

// leafText is what a leaf says: a string, or a number as it is written.
func leafText(raw []byte) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return string(raw)
	}
	return s
}

// originOf returns scheme, host and port of a URL, written in one way.
func originOf(s string) (origin string, ok bool) {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.Scheme == "" || u.Host == "" {
		return "", false
	}
	scheme := strings.ToLower(u.Scheme)
	port := cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80"}[scheme])
	host := strings.ToLower(u.Hostname())
	if ascii, err := idna.Lookup.ToASCII(host); err == nil { // as it is connected to
		host = ascii
	}
	return scheme + "://" + host + ":" + port, true
}
