package main

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	s := newService(t)
	made := s.run("keys", "create", "--role", "operate", "billing")
	require.Equal(t, exitOK, made.code, made.stderr)
	key := strings.TrimSuffix(made.stdout, "\n")
	assert.Regexp(t, `^sk_[0-9a-f]{72}$`, key, "only the key goes to the standard output")
	assert.Contains(t, made.stderr, "with the role operate. It is not shown again.")

	listed := s.run("keys", "list", "--json")
	require.Equal(t, exitOK, listed.code, listed.stderr)
	lines := strings.Split(strings.TrimSpace(listed.stdout), "\n")
	require.Len(t, lines, 2)
	billing := decode[webhook.APIKey](t, lines[1])
	assert.Equal(t, "billing", billing.Name)
	assert.NotContains(t, listed.stdout, key)
	assert.Contains(t, s.run("keys", "list").stdout, billing.ID+"  works")

	mine := env{envURL: s.env[envURL], envAPIKey: key}
	require.Equal(t, exitOK, runs(t, mine, "", "list").code)
	denied := runs(t, mine, "", "keys", "list")
	assert.Equal(t, exitForbidden, denied.code)
	assert.Contains(t, denied.stderr, "needs the role administer")

	require.Equal(t, exitOK, s.run("keys", "revoke", billing.ID).code)
	refused := runs(t, mine, "", "list")
	assert.Equal(t, exitForbidden, refused.code)
	assert.Contains(t, refused.stderr, "The API key was revoked")
	assert.Contains(t, s.run("keys", "list").stdout, billing.ID+"  revoked")
	assert.Equal(t, exitNo, s.run("keys", "revoke", "key_0000000000000000").code)
}

// A person may give the API key in place of its id: it must not get into paths, and so into logs.
func TestKeysRevokeSendsNoAPIKey(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(server.Close)
	key := s.key(webhook.APIKey{Name: "leaked"})
	for _, id := range []string{key, "key_", "other_" + key[3:]} {
		got := runs(t, env{envURL: server.URL}, "", "keys", "revoke", id)
		assert.Equal(t, exitUsage, got.code)
		assert.Contains(t, got.stderr, "webhooks keys list")
		assert.NotContains(t, got.stdout+got.stderr, key[3:])
	}
	assert.Zero(t, asked.Load())
}

// No example leaves a secret in a file that others may read.
func TestExamplesKeepSecretsFromOthers(t *testing.T) {
	t.Parallel()
	makes := regexp.MustCompile(`(secret new|secret rotate|keys create)\b.*>`)
	found := map[string]bool{}
	for _, c := range commands() {
		for line := range strings.Lines(strings.ReplaceAll(c.example, "\\\n", "")) {
			if made := makes.FindStringSubmatch(line); made != nil {
				found[made[1]] = true
				assert.Contains(t, line, "(umask 077; ", c.name)
			}
		}
	}
	assert.Equal(t, map[string]bool{"secret new": true, "secret rotate": true, "keys create": true}, found)
}

func TestKeysCreate(t *testing.T) {
	t.Parallel()
	s := newService(t)
	made := s.run("keys", "create", "--json", "--reveal", "--expires-in", "1h", "x")
	require.Equal(t, exitOK, made.code, made.stderr)
	created := decode[api.APIKeyResponse](t, made.stdout)
	assert.True(t, created.Reveal)
	assert.WithinDuration(t, time.Now().Add(time.Hour), created.ExpiresAt, time.Minute)
	for _, args := range [][]string{{"--role", "root", "x"}, {"--expires-in", "-1h", "x"}, {}} {
		assert.Equal(t, exitUsage, s.run(append([]string{"keys", "create"}, args...)...).code, args)
	}
	assert.Equal(t, exitForbidden, s.run("keys", "create", "--operator", "x").code)
	assert.Equal(t, exitForbidden, s.run("keys", "list", "--organization", "other").code)
}
