package api

import (
	"maps"
	"regexp"
	"strings"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
)

// secretFields knows which fields of which channel's configs are secret: by
// channel, patterns of paths.
type secretFields map[string][][]string

// contractSecrets are the secrets of the contract's channels.
func contractSecrets() map[string][]string {
	return map[string][]string{
		channel.NameWebhook: {"headers.*", "signing_secret", "signing_secrets[*]"},
		channel.NameSlack:   {"webhook_url", "bot_token"},
		channel.NameEmail:   {},
		channel.NameSMS:     {},
	}
}

var secretField = regexp.MustCompile(`^[^.\[\]]+(?:\.[^.\[\]]+|\[\*\])*$`)

func newSecretFields(configured map[string][]string) (secretFields, error) {
	fields := contractSecrets()
	maps.Copy(fields, configured)
	var p event.Problems
	s := secretFields{}
	for name, patterns := range fields {
		s[name] = [][]string{}
		for _, pattern := range patterns {
			if !secretField.MatchString(pattern) {
				p.Add("SecretFields."+name, `must be paths such as "headers.*" and "keys[*]"`)
			}
			s[name] = append(s[name], strings.Split(strings.ReplaceAll(pattern, "[*]", ".*"), "."))
		}
	}
	return s, p.Err()
}

// secret says whether the value at a path of a channel's configs is secret: a
// pattern names it or something that it is part of. Case does not count, because
// it does not where a driver decodes with encoding/json. Of a channel that
// nothing is known about, everything is secret.
func (s secretFields) secret(channelName string, path []any) bool {
	patterns, known := s[channelName]
	if !known {
		return true
	}
	for _, pattern := range patterns {
		if covers(pattern, path) {
			return true
		}
	}
	return false
}

func covers(pattern []string, path []any) bool {
	if len(pattern) > len(path) {
		return false
	}
	for i, name := range pattern {
		member, _ := path[i].(string) // a position is matched by "*" only
		if name != "*" && !strings.EqualFold(name, member) {
			return false
		}
	}
	return true
}
