package main

import (
	"strings"

	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/receiver"
)

// The settings of the environment that have secrets.
const (
	envSigningSecret = "WEBHOOKS_SIGNING_SECRET"
	envStaticSecret  = "WEBHOOKS_STATIC_SECRET"
	envAPIKey        = "WEBHOOKS_API_KEY"
)

// credentials are the flags of the secrets that requests are signed with, or carry.
type credentials struct {
	secretFile, staticFile, staticHeader string
}

func (c *credentials) declare(s *flagSet) {
	s.StringVar(&c.secretFile, "secret-file", "", "`file` with the signing secrets, one on each line, "+
		"the newest first (default $"+envSigningSecret+")")
	s.StringVar(&c.staticFile, "static-secret-file", "", "`file` with the secret that requests carry "+
		"in a header (default $"+envStaticSecret+")")
	s.StringVar(&c.staticHeader, "static-header", receiver.DefaultSecretHeader,
		"`name` of the header with the static secret")
}

// signing returns the signing secrets as they are written: the caller says what is wrong with them.
func (c *credentials) signing(a *app) ([]string, error) {
	return a.secrets(c.secretFile, envSigningSecret, "the signing secrets")
}

// static returns the static secret, or "".
func (c *credentials) static(a *app) (string, error) {
	lines, err := a.secrets(c.staticFile, envStaticSecret, "the static secret")
	switch {
	case err != nil || len(lines) == 0:
		return "", err
	case len(lines) > 1:
		return "", usagef("the static secret has %d lines instead of one", len(lines))
	}
	return lines[0], nil
}

// keys returns the parsed signing secrets.
func (c *credentials) keys(a *app) ([]signature.Key, error) {
	lines, err := c.signing(a)
	if err != nil {
		return nil, err
	}
	keys := make([]signature.Key, len(lines))
	for i, line := range lines {
		if keys[i], err = signature.ParseKey(strings.TrimSpace(line)); err != nil {
			return nil, usagef("signing secret %d: %v", i+1, err)
		}
	}
	return keys, nil
}

// secrets returns the lines of the file, or of the environment if there is no file, that are not
// blank.
func (a *app) secrets(file, env, what string) ([]string, error) {
	text := a.getenv(env)
	if file != "" {
		data, err := a.readInput(file, what)
		if err != nil {
			return nil, err
		}
		text = string(data)
		if strings.TrimSpace(text) == "" {
			return nil, usagef("%s: the file is empty", what)
		}
	}
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return lines, nil
}
