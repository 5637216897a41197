package main

import (
	"encoding/json"
	"encoding/xml"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/receiver"
)

// newReceiver serves a receiver that is right.
func newReceiver(t *testing.T) *httptest.Server {
	t.Helper()
	key, err := signature.ParseKey(testSecret)
	require.NoError(t, err)
	verifier, err := signature.NewVerifier(signature.Config{Keys: []signature.VerifyKey{{Key: key}}})
	require.NoError(t, err)
	rcv, err := receiver.New(receiver.Config{Signature: verifier, AllowHTTP: true,
		Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	server := httptest.NewServer(rcv.Handler(receiver.NewRouter()))
	t.Cleanup(server.Close)
	return server
}

func TestSuiteOfARightReceiver(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs the suite, and takes a tenth of a second of CPU time")
	}
	server := newReceiver(t)
	got := runs(t, env{envSigningSecret: testSecret}, "", "suite", server.URL,
		"--retired-secret-file", file(t, signature.NewKey().Reveal()))
	assert.Equal(t, exitOK, got.code, got.stdout)
	assert.Contains(t, got.stdout, "kept       valid event\n")
	assert.Contains(t, got.stdout, "kept       retired credentials\n")
	assert.Contains(t, got.stdout, "not tried  wrong secret (needs --static-secret-file)\n")
	assert.Contains(t, got.stdout, ", 0 broken, ")
	assert.NotContains(t, got.stdout, "Options.")
	assert.Empty(t, got.stderr, "progress is for terminals")
}

func TestSuiteOfABrokenReceiver(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs the suite twice")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK) // whatever it is
	}))
	t.Cleanup(server.Close)
	e := env{envSigningSecret: testSecret}

	got := runs(t, e, "", "suite", "--json", "--except", "no type", server.URL)
	assert.Equal(t, exitNo, got.code)
	results := map[string]ruleResult{}
	for line := range strings.Lines(got.stdout) {
		var r ruleResult
		require.NoError(t, json.Unmarshal([]byte(line), &r))
		results[r.Rule] = r
	}
	assert.Equal(t, resultBroken, results["wrong signature"].Result)
	assert.NotEmpty(t, results["wrong signature"].Detail)
	assert.Equal(t, resultKept, results["valid event"].Result)
	assert.Equal(t, "in --except", results["no type"].Detail)

	got = runs(t, e, "", "suite", "--junit", server.URL)
	assert.Equal(t, exitNo, got.code)
	var suite junitSuite
	require.NoError(t, xml.Unmarshal([]byte(got.stdout), &suite))
	assert.Len(t, suite.Cases, suite.Tests)
	assert.Positive(t, suite.Failures)
	assert.Positive(t, suite.Skipped)
	failures := 0
	for _, c := range suite.Cases {
		if c.Failure != nil {
			failures++
		}
	}
	assert.Equal(t, suite.Failures, failures)
}

// The first thing to say is that the secret is wrong.
func TestSuiteWithAnotherSecret(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs the suite")
	}
	got := runs(t, env{envSigningSecret: signature.NewKey().Reveal()}, "", "suite", newReceiver(t).URL)
	assert.Equal(t, exitNo, got.code)
	assert.Contains(t, got.stderr, "Has it the same secret?")
}

func TestSuiteWithoutAReceiver(t *testing.T) {
	t.Parallel()
	got := runs(t, env{envSigningSecret: testSecret}, "", "suite", nothingListens)
	assert.Equal(t, exitUnreachable, got.code)
	assert.Empty(t, got.stdout)
	assert.Contains(t, got.stderr, "Is the receiver running")
	for args, says := range map[string]string{
		"suite nonsense":                         "must be an http or https URL",
		"suite http://x.test --except none":      "--except[0]",
		"suite http://x.test --max-body -1":      "--max-body",
		"suite http://x.test --secret-file none": "no such file",
	} {
		got := runs(t, env{envSigningSecret: testSecret}, "", strings.Fields(args)...)
		assert.Equal(t, exitUsage, got.code, args)
		assert.Contains(t, got.stderr, says)
	}
}
