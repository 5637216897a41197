package main

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

const envURL = "WEBHOOKS_URL"

// connection are the flags of the management API.
type connection struct {
	url, keyFile, organization string
	timeout                    time.Duration
}

func (c *connection) declare(s *flagSet) {
	s.StringVar(&c.url, "url", "", "`address` of the management API; without a path, that is "+
		api.DefaultPrefix+" (default $"+envURL+")")
	s.StringVar(&c.keyFile, "key-file", "", "`file` with the API key (default $"+envAPIKey+")")
	s.StringVar(&c.organization, "organization", "", "`organization` to act for, with the API key of an "+
		"operator")
	s.DurationVar(&c.timeout, "timeout", time.Minute, "how long one request may take")
}

// client returns a client of the API.
func (c *connection) client(a *app) (*client.Client, error) {
	transport, err := c.transport(a)
	if err != nil {
		return nil, err
	}
	key, err := c.key(a)
	if err != nil {
		return nil, err
	}
	return c.clientOn(transport, key)
}

func (c *connection) clientOn(transport *http.Client, key string) (*client.Client, error) {
	out, err := client.New(c.url, key, client.Config{HTTPClient: transport,
		Organization: c.organization})
	if err != nil {
		return nil, usagef("%s must be an http or https URL without credentials, query and fragment, "+
			"such as https://example.com%s", c.from(), api.DefaultPrefix)
	}
	return out, nil
}

func (c *connection) from() string { return "--url or " + envURL }

// transport completes the address, and returns what makes the requests.
func (c *connection) transport(a *app) (*http.Client, error) {
	if c.url == "" {
		c.url = a.getenv(envURL)
	}
	if c.url == "" {
		return nil, &hintError{usagef("no address of the management API"), "Set " + envURL +
			" or --url, such as https://example.com" + api.DefaultPrefix + ".", exitUsage}
	}
	if c.timeout <= 0 {
		return nil, usagef("--timeout must be positive")
	}
	if u, err := url.Parse(c.url); err == nil && u.Host != "" && strings.Trim(u.Path, "/") == "" {
		u.Path = api.DefaultPrefix
		c.url = u.String()
	}
	return &http.Client{Timeout: c.timeout}, nil
}

// key returns the API key, or "" if there is none.
func (c *connection) key(a *app) (string, error) {
	lines, err := a.secrets(c.keyFile, envAPIKey, "the API key")
	switch {
	case err != nil || len(lines) == 0:
		return "", err
	case len(lines) > 1:
		return "", usagef("the API key has %d lines instead of one", len(lines))
	}
	return strings.TrimSpace(lines[0]), nil
}
