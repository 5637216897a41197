package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

func decode[T any](t *testing.T, line string) T {
	t.Helper()
	var v T
	require.NoError(t, json.Unmarshal([]byte(line), &v), line)
	return v
}

// nothingListens is an address that no server of a test gets, as it may that of one that was closed.
const nothingListens = "http://127.0.0.1:1"

// What may be wrong with the way to the API, as a stranger meets it, on each command that uses it.
func TestConnectionProblems(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	s := newService(t)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>welcome</html>"))
	}))
	t.Cleanup(page.Close)
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(busy.Close)
	for name, c := range map[string]struct {
		url, key string
		code     int
		says     string
	}{
		"no address":      {"", "k", exitUsage, "Set WEBHOOKS_URL or --url"},
		"no URL":          {"example.com", "k", exitUsage, "must be an http or https URL"},
		"nothing listens": {nothingListens, "k", exitUnreachable, "can this machine reach it?"},
		"another server":  {page.URL, "k", exitNo, "check the path of --url"},
		"another path":    {s.env[envURL] + "/v2", "k", exitNo, "check the path of --url"},
		"no key":          {s.env[envURL], "", exitForbidden, "Put a valid API key into WEBHOOKS_API_KEY"},
		"a wrong key":     {s.env[envURL], "sk_s3cr3t", exitForbidden, "the API answered 401"},
		"overloaded":      {busy.URL, "k", exitUnreachable, "Try again in 7s."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, command := range []string{"list", "deliveries list", "deliveries export",
				"trigger --test " + webhookID, "trigger --event-type object.created",
				"deliveries show " + webhookID + " dlv_1", "deliveries replay --all", "replays list",
				"endpoints list", "deliveries cancel " + webhookID + " dlv_1", "secret rotate " + webhookID,
				"pause " + webhookID, "resume " + webhookID, "endpoints enable " + webhookID, "doctor"} {
				got := runs(t, env{envURL: c.url, envAPIKey: c.key}, "", strings.Fields(command)...)
				assert.Equal(t, c.code, got.code, "%s: %s", command, got.stderr)
				assert.Contains(t, got.stderr, c.says, command)
				assert.NotContains(t, got.stderr, "s3cr3t")
				if command != "doctor" {
					assert.Empty(t, got.stdout)
				}
			}
		})
	}
}

// A service that has moved redirects, which would make GETs of what is to change something.
func TestChangesThatAreRedirected(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.emit(1)
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, s.env[envURL]+r.URL.String(), http.StatusMovedPermanently)
	}))
	t.Cleanup(moved.Close)
	before, err := s.d.Subscription(t.Context(), "org", webhookID)
	require.NoError(t, err)
	for _, command := range []string{"pause " + webhookID, "resume " + webhookID,
		"endpoints disable " + webhookID, "endpoints enable " + webhookID, "secret rotate " + webhookID,
		"secret rotate --end " + webhookID, "trigger --event-type object.created",
		"trigger --test " + webhookID, "deliveries replay --all --detach", "deliveries replay --all --dry-run",
		"deliveries cancel " + webhookID + " dlv_1", "replays stop rpl_0123456789abcdef",
		"keys create another", "keys revoke key_0123456789abcdef", "list"} {
		got := runs(t, env{envURL: moved.URL, envAPIKey: s.env[envAPIKey]}, "", strings.Fields(command)...)
		assert.Equal(t, exitNo, got.code, "%s: %s", command, got.stderr)
		assert.Empty(t, got.stdout, command)
		assert.Contains(t, got.stderr, "the API may be at "+s.env[envURL]+api.DefaultPrefix, command)
		assert.Contains(t, got.stderr, "Give the address that it redirects to", command)
	}
	after, err := s.d.Subscription(t.Context(), "org", webhookID)
	require.NoError(t, err)
	assert.Equal(t, before, after)
	all, err := s.d.Deliveries(t.Context(), webhook.DeliveryQuery{OrganizationID: "org"})
	require.NoError(t, err)
	assert.Len(t, all, 1)
	assert.Equal(t, webhook.StatusPending, all[0].Status)
}

func TestTrigger(t *testing.T) {
	t.Parallel()
	s := newService(t)
	got := s.run("trigger", "--test", webhookID)
	assert.Equal(t, exitOK, got.code, got.stderr)
	assert.Contains(t, got.stdout, "webhook: accepted after ")
	assert.Contains(t, got.stdout, ", with 200\n")
	assert.EqualValues(t, 1, s.arrived.Load())

	s.answers.Store(http.StatusTeapot)
	got = s.run("trigger", "--test", webhookID, "--event", file(t, `{"subject": {"id": "obj_9"}}`))
	assert.Equal(t, exitNo, got.code)
	assert.Contains(t, got.stdout, " object.test\nwebhook: failed after ")
	assert.Contains(t, got.stdout, "with 418")
	assert.NotContains(t, got.stdout, "\x1b", "what strangers write cannot steer the terminal")
	sent := decode[api.TestResponse](t, s.run("trigger", "--test", webhookID, "--json").stdout)
	assert.False(t, sent.Results[0].Succeeded)

	e := event.New("object.deleted", event.Subject{Type: "object", ID: "obj_1"})
	e.Namespace, e.OrganizationID = "acme", "org"
	_, err := s.d.Emit(t.Context(), e)
	require.NoError(t, err)
	s.drain()
	assert.Contains(t, s.run("trigger", "--test", webhookID).stdout, " object.deleted\n",
		"what failed is tried again")

	assert.Contains(t, s.run("trigger", "--list").stdout, "object.created ")
	assert.Equal(t, "object.created",
		decode[api.EventType](t, first(strings.Split(s.run("trigger", "--list", "--json").stdout, "\n"))).Type)
	for args, code := range map[string]int{
		"trigger":                                   exitUsage,
		"trigger " + webhookID:                      exitUsage,
		"trigger --list --test " + webhookID:        exitUsage,
		"trigger --event-type X":                    exitUsage,
		"trigger --channel a --event-type a.b":      exitUsage,
		"trigger --event-type a.b":                  exitNo, // it is not in the catalogue
		"trigger --event /does/not/exist":           exitUsage,
		"trigger --test " + otherID:                 exitNo,
		"trigger --channel fax --test " + webhookID: exitNo,
	} {
		assert.Equal(t, code, s.run(strings.Fields(args)...).code, args)
	}
}

func TestTriggerPublishes(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for range 2 { // an example is a new event each time
		got := s.run("trigger", "--event-type", "object.created")
		assert.Equal(t, exitOK, got.code, got.stderr)
		assert.Regexp(t, `^evt_\S+ is published: 1 delivery\n$`, got.stdout)
	}
	s.drain()
	assert.EqualValues(t, 2, s.arrived.Load())
	name := file(t, `{"event_id": "evt_1", "namespace": "n", "subject": {"type": "t", "id": "i"}}`)
	got := s.run("trigger", "--event", name, "--event-type", "invoice.paid", "--json")
	assert.Equal(t, api.Published{EventID: "evt_1"}, decode[api.Published](t, got.stdout))
	got = s.run("trigger", "--event", name, "--event-type", "invoice.paid")
	assert.Equal(t, "evt_1 was published before: nothing is delivered again\n", got.stdout)
	name = file(t, `{"event_type": "a.b", "namespace": "n", "subject": {"type": "t", "id": "i"}}`)
	assert.Contains(t, s.run("trigger", "--event", name).stderr, "No webhook is subscribed to a.b.")
	assert.Equal(t, exitUsage, s.run("trigger", "--event", name, "--event-type", "a.c").code)
	got = s.run("trigger", "--event", file(t, `{}`))
	assert.Equal(t, exitNo, got.code)
	assert.Contains(t, got.stderr, "body event_type: is required")

	closed, err := api.New(s.d, func(*http.Request) (string, error) { return "org", nil }, api.Config{})
	require.NoError(t, err)
	server := httptest.NewServer(closed)
	t.Cleanup(server.Close)
	got = runs(t, env{envURL: server.URL}, "", "trigger", "--event", name)
	assert.Equal(t, exitNo, got.code)
	assert.Contains(t, got.stderr, "webhooks trigger --test WEBHOOK")
}

// lossy passes requests on to the API, and cuts the answers to those that change something: in
// their header, or behind it.
func lossy(t *testing.T, to string, behindHeader bool) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		httputil.NewSingleHostReverseProxy(must(url.Parse(to))).ServeHTTP(answer, r)
		if r.Method != http.MethodGet && !behindHeader {
			panic(http.ErrAbortHandler)
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		body := answer.Body.Bytes()
		if r.Method != http.MethodGet {
			_, _ = w.Write(body[:len(body)/2])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(body)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(server.Close)
	return server.URL
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// An answer that is lost, or cut, leaves open whether something has changed: the program says how
// to find out, or to repeat it safely.
func TestAnswersThatAreLost(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	s := newService(t)
	for _, behindHeader := range []bool{false, true} {
		settings := env{envURL: lossy(t, s.env[envURL], behindHeader), envAPIKey: s.env[envAPIKey]}
		got := runs(t, settings, "", "trigger", "--event-type", "object.created")
		assert.Equal(t, exitUnreachable, got.code, got.stderr)
		assert.Empty(t, got.stdout)
		said := regexp.MustCompile(`--id (evt_\S+)`).FindStringSubmatch(got.stderr)
		require.Len(t, said, 2, got.stderr)
		got = s.run("trigger", "--event-type", "object.created", "--id", said[1])
		assert.Equal(t, said[1]+" was published before: nothing is delivered again\n", got.stdout)

		name := file(t, `{"event_id": "evt_`+strconv.FormatBool(behindHeader)+
			`", "event_type": "a.b", "namespace": "n", "subject": {"type": "t", "id": "i"}}`)
		got = runs(t, settings, "", "trigger", "--event", name)
		assert.Contains(t, got.stderr, "--id evt_"+strconv.FormatBool(behindHeader))
		for _, typed := range [][]string{nil, {"--event-type", "a.b"}} {
			other := append([]string{"trigger", "--event", name, "--id", "evt_other"}, typed...)
			assert.Equal(t, exitUsage, s.run(other...).code)
		}

		for command, says := range map[string]string{
			"keys create another":                        "webhooks keys list",
			"deliveries replay --all --status succeeded": "webhooks replays list",
			"secret rotate " + webhookID:                 "rotate once more",
			"list":                                       "can this machine reach it?",
		} {
			got := runs(t, settings, "", strings.Fields(command)...)
			assert.Equal(t, exitUnreachable, got.code, "%s: %s", command, got.stderr)
			assert.Empty(t, got.stdout, command)
			assert.Contains(t, got.stderr, says, command)
		}
	}
	name := file(t, `{"event_type": "a.b", "namespace": "n", "subject": {"type": "t", "id": "i"}}`)
	got := runs(t, env{envURL: "http://127.0.0.1:1"}, "", "trigger", "--event", name)
	assert.Equal(t, exitUnreachable, got.code)
	assert.NotContains(t, got.stderr, "--id", "nothing was sent")
	assert.Equal(t, exitUsage, s.run("trigger", "--id", "evt_1", "--test", webhookID).code)
	assert.Equal(t, exitUsage, s.run("trigger", "--id", "evt_1", "--list").code)
}

// What was never sent has not taken effect, and nothing has to be found out or repeated.
func TestRequestsThatWereNotSent(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	unreached := func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }
	quiet := log.New(io.Discard, "", 0)
	encrypted := httptest.NewUnstartedServer(http.HandlerFunc(unreached))
	encrypted.Config.ErrorLog = quiet
	encrypted.StartTLS()
	t.Cleanup(encrypted.Close)
	plain := httptest.NewServer(http.HandlerFunc(unreached))
	t.Cleanup(plain.Close)
	name := file(t, `{"event_type": "a.b", "namespace": "n", "subject": {"type": "t", "id": "i"}}`)
	for address, says := range map[string]string{
		encrypted.URL: "certificate",
		strings.Replace(plain.URL, "http:", "https:", 1): "HTTP response to HTTPS client",
	} {
		got := runs(t, env{envURL: address}, "", "trigger", "--event", name)
		assert.Equal(t, exitUnreachable, got.code, got.stderr)
		assert.Contains(t, got.stderr, says)
		assert.NotContains(t, got.stderr, "may have been published")
	}

	c, err := client.New(plain.URL, "", client.Config{})
	require.NoError(t, err)
	_, notEncoded := c.Publish(t.Context(), &event.Event{Metadata: map[string]any{"n": math.NaN()}})
	require.ErrorContains(t, notEncoded, "encoding the request")
	behindProxy := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(must(url.Parse(nothingListens)))}}
	_, noProxy := behindProxy.Post("https://api.example.com/events", "application/json", http.NoBody)
	require.ErrorContains(t, noProxy, "proxyconnect")
	var stderr strings.Builder
	a := app{printer: newPrinter(io.Discard, &stderr, func(string) string { return "" })}
	for _, err := range []error{notEncoded, noProxy} {
		a.noteUnknown(err, "It may have been published.")
		assert.Empty(t, stderr.String(), err)
	}
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	s := newService(t)
	got := s.run("deliveries", "list")
	assert.Equal(t, exitOK, got.code)
	assert.Empty(t, got.stdout)
	assert.Contains(t, got.stderr, "No deliveries fit.")

	s.deliver(3, http.StatusBadRequest)
	s.deliver(1, http.StatusOK)
	got = s.run("deliveries", "list")
	assert.Regexp(t, `(?m)^DELIVERY +WEBHOOK +CHANNEL`, got.stdout)
	assert.Equal(t, 5, strings.Count(got.stdout, "\n"))
	got = s.run("deliveries", "list", "--status", "dead", "--json", "--since", "1h", webhookID)
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	require.Len(t, lines, 3)
	dead := decode[webhook.Delivery](t, lines[0])
	assert.Equal(t, webhook.StatusDead, dead.Status)
	got = s.run("deliveries", "list", "--limit", "2")
	assert.Equal(t, 3, strings.Count(got.stdout, "\n"))
	assert.Contains(t, got.stderr, "There are more")
	assert.NotContains(t, s.run("deliveries", "list", "--limit", "4").stderr, "There are more")

	got = s.run("deliveries", "show", webhookID, dead.ID.String())
	assert.Contains(t, got.stdout, dead.ID.String()+"  dead\n")
	assert.Contains(t, got.stdout, "attempt 1 at ")
	assert.Contains(t, got.stdout, "with 400")
	assert.NotContains(t, got.stdout, "\x1b")
	got = s.run("deliveries", "show", "--event", webhookID, dead.ID.String())
	assert.Contains(t, got.stdout, `"event_id":"`+dead.EventID+`"`)

	got = s.run("deliveries", "export")
	assert.Equal(t, 4, strings.Count(got.stdout, "\n"))
	decode[webhook.Delivery](t, first(strings.Split(got.stdout, "\n")))

	for args, code := range map[string]int{
		"deliveries list --limit 0":                       exitUsage,
		"deliveries list --status done":                   exitNo,
		"deliveries list --since tomorrow":                exitUsage,
		"deliveries list " + otherID:                      exitNo,
		"deliveries show " + webhookID + " 7":             exitUsage,
		"deliveries show " + webhookID:                    exitUsage,
		"deliveries show " + webhookID + " dlv_77":        exitNo,
		"deliveries cancel " + webhookID + " dlv_1":       exitNo, // it is settled
		"deliveries replay --all --per-second 0":          exitUsage,
		"deliveries replay --all --status pending":        exitNo,
		"deliveries replay --all " + otherID:              exitNo,
		"deliveries replay " + webhookID:                  exitUsage,
		"deliveries replay --all " + webhookID + " dlv_1": exitUsage,
		"deliveries skip " + webhookID + " dlv_1":         exitNo, // it holds no subject
	} {
		got := s.run(strings.Fields(args)...)
		assert.Equal(t, code, got.code, "%s: %s", args, got.stderr)
		assert.Empty(t, got.stdout)
		assert.NotEmpty(t, got.stderr)
	}
	settled := first(strings.Split(strings.TrimSpace(s.run("deliveries", "list", "--status", "succeeded",
		"--json").stdout), "\n"))
	id := decode[webhook.Delivery](t, settled).ID.String()
	s.emit(1)
	waits := decode[webhook.Delivery](t, s.run("deliveries", "list", "--status", "pending", "--json").stdout)
	for args, says := range map[string]string{
		"skip " + webhookID + " " + id:                  "The delivery does not hold its subject",
		"cancel " + webhookID + " " + id:                "The delivery is settled",
		"replay " + webhookID + " " + waits.ID.String(): "The delivery is not settled, or has too many attempts",
	} {
		assert.Contains(t, s.run(append([]string{"deliveries"}, strings.Fields(args)...)...).stderr, says, args)
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.deliver(3, http.StatusBadRequest)
	s.answers.Store(http.StatusOK)
	assert.Contains(t, s.run("deliveries", "replay", "--all", "--dry-run", webhookID).stdout,
		"3 deliveries fit")
	assert.JSONEq(t, `{"deliveries": 2, "more": false}`,
		s.run("deliveries", "replay", "--all", "--dry-run", "--json", "--limit", "2").stdout)
	dead := decode[webhook.Delivery](t, first(strings.Split(
		s.run("deliveries", "list", "--json", "--status", "dead").stdout, "\n")))
	got := s.run("deliveries", "replay", webhookID, dead.ID.String())
	assert.Contains(t, got.stdout, dead.ID.String()+"  pending\n")

	s.drain()
	s.emit(1)
	waits := decode[webhook.Delivery](t, s.run("deliveries", "list", "--json", "--status", "pending").stdout)
	got = s.run("deliveries", "cancel", webhookID, waits.ID.String())
	assert.Contains(t, got.stdout, waits.ID.String()+"  cancelled\n")
}

// Flags that select many deliveries, or replay none, are refused with one: it would be replayed at once
// although they were meant to prevent that.
func TestReplayOfOneRefusesFlagsOfMany(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.deliver(1, http.StatusBadRequest)
	dead := decode[webhook.Delivery](t, s.run("deliveries", "list", "--json").stdout)
	for _, flags := range []string{"--dry-run", "--detach", "--limit 1", "--per-second 1", "--since 1h",
		"--until 1h", "--status dead", "--event-type object.created", "--event-id evt_1"} {
		args := append([]string{"deliveries", "replay", webhookID, dead.ID.String()},
			strings.Fields(flags)...)
		got := s.run(args...)
		assert.Equal(t, exitUsage, got.code, flags)
		assert.Empty(t, got.stdout, flags)
		assert.Contains(t, got.stderr, strings.Fields(flags)[0]+" needs --all", flags)
	}
	assert.Contains(t, s.run("deliveries", "list").stdout, "dead", "nothing was replayed")
	assert.Equal(t, exitOK, s.run("deliveries", "replay", "--json", webhookID, dead.ID.String()).code)
}

func TestList(t *testing.T) {
	t.Parallel()
	s := newService(t)
	got := s.run("list")
	assert.Equal(t, exitOK, got.code)
	assert.Regexp(t, `\n`+webhookID+` +active +webhook +object\.\* +shop\n$`, got.stdout)
	got = s.run("list", "--json", "--event-type", "object.created")
	assert.Contains(t, got.stdout, api.Mask)
	assert.NotContains(t, got.stdout, testSecret)
	got = s.run("list", "--event-type", "invoice.paid")
	assert.Empty(t, got.stdout)
	assert.Contains(t, got.stderr, "There are no webhooks.")
}

// A webhook that is paused says so wherever its deliveries are expected to go out.
func TestPause(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.run("endpoints", "disable", webhookID)
	got := s.run("pause", webhookID)
	assert.Equal(t, exitOK, got.code, got.stderr)
	assert.Equal(t, webhookID+" (shop) is paused. Its deliveries wait until it is resumed: webhooks resume "+
		webhookID+".\n", got.stdout)
	assert.Contains(t, s.run("list").stdout, webhookID+"  paused")
	_, found := checks(t, s.env)
	assert.NotContains(t, found, "paused webhook", "nothing waits for it")
	s.emit(2)

	got = s.run("endpoints", "enable", webhookID)
	assert.Equal(t, webhookID+" webhook is enabled again, but its webhook is paused, and deliveries wait "+
		"until that is resumed: webhooks resume "+webhookID+".\n", got.stdout)
	got = s.run("endpoints", "show", webhookID)
	assert.Contains(t, got.stdout, "shop\n  paused        its deliveries wait until: webhooks resume "+webhookID+"\n")
	view := decode[endpointView](t, s.run("endpoints", "show", "--json", webhookID).stdout)
	assert.True(t, view.Paused)
	code, found := checks(t, s.env)
	assert.Equal(t, exitOK, code)
	assert.Equal(t, check{"paused webhook", checkWarn, webhookID + " (shop) is paused, and 2 deliveries wait " +
		"for it", "If that is over: webhooks resume " + webhookID + "."}, found["paused webhook"])
	s.drain()
	assert.Zero(t, s.arrived.Load())

	s.run("endpoints", "disable", webhookID)
	got = s.run("resume", webhookID)
	assert.Equal(t, exitOK, got.code, got.stderr)
	assert.Equal(t, webhookID+" (shop) is active again. Deliveries that waited go out.\n"+
		"Its endpoint webhook is disabled, and gets nothing until: webhooks endpoints enable "+webhookID+
		" webhook.\n", got.stdout)
	s.run("endpoints", "enable", webhookID)
	s.drain()
	assert.EqualValues(t, 2, s.arrived.Load())

	assert.Contains(t, s.run("pause", "--json", webhookID).stdout, `"is_active":false`)
	assert.Contains(t, s.run("resume", "--json", webhookID).stdout, `"is_active":true`)
	reader := env{envURL: s.env[envURL], envAPIKey: s.key(webhook.APIKey{Name: "reader"})}
	operator := env{envURL: s.env[envURL], envAPIKey: s.key(webhook.APIKey{Name: "operator",
		Rights: webhook.Rights{Role: webhook.RoleOperate}})}
	for _, command := range []string{"pause", "resume"} {
		assert.Equal(t, exitUsage, s.run(command).code)
		assert.Equal(t, exitNo, s.run(command, otherID).code)
		assert.Equal(t, exitForbidden, runs(t, reader, "", command, webhookID).code)
		assert.Equal(t, exitOK, runs(t, operator, "", command, webhookID).code)
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	s := newService(t)
	got := s.run("secret", "rotate", webhookID)
	assert.Equal(t, exitOK, got.code, got.stderr)
	assert.Regexp(t, `^whsec_\S+\n$`, got.stdout)
	assert.Contains(t, got.stderr, "webhooks secret rotate --end "+webhookID)
	made := decode[api.RotateResponse](t, s.run("secret", "rotate", "--json", webhookID).stdout)
	assert.Equal(t, 2, made.Previous)
	got = s.run("secret", "rotate", "--end", webhookID)
	assert.Equal(t, exitOK, got.code)
	assert.Empty(t, got.stdout)
	assert.Equal(t, exitNo, s.run("secret", "rotate", "--channel", "fax", webhookID).code)
}

// Who may not see the new secret cannot give it to the receiver: nothing is changed, and no mask is
// printed as if it were the secret.
func TestRotateWithoutReveal(t *testing.T) {
	t.Parallel()
	s := newService(t)
	blind := env{envURL: s.env[envURL], envAPIKey: s.key(webhook.APIKey{Name: "blind",
		Rights: webhook.Rights{Role: webhook.RoleAdminister}})}
	before, err := s.d.Subscription(t.Context(), "org", webhookID)
	require.NoError(t, err)
	for _, args := range [][]string{{}, {"--json"}} {
		got := runs(t, blind, "", append(append([]string{"secret", "rotate"}, args...), webhookID)...)
		assert.Equal(t, exitForbidden, got.code)
		assert.Empty(t, got.stdout)
		assert.Contains(t, got.stderr, "may not reveal secrets")
		assert.Contains(t, got.stderr, "Nothing was changed")
	}
	after, err := s.d.Subscription(t.Context(), "org", webhookID)
	require.NoError(t, err)
	assert.Equal(t, before, after)
	assert.Equal(t, exitOK, runs(t, blind, "", "secret", "rotate", "--end", webhookID).code,
		"which shows no secret")

	// An API that does not say what its key may do rotates, and masks the secret.
	older := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/about") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(`{"webhook_id": "` + webhookID + `", "channel": "webhook", "signing_secret": "` +
			api.Mask + `", "previous": 1}`))
	}))
	t.Cleanup(older.Close)
	for _, args := range [][]string{{}, {"--json"}} {
		got := runs(t, env{envURL: older.URL}, "", append(append([]string{"secret", "rotate"}, args...), webhookID)...)
		assert.Equal(t, exitForbidden, got.code)
		assert.Empty(t, got.stdout)
		assert.Contains(t, got.stderr, "has a new secret, which the API key may not reveal")
		assert.Contains(t, got.stderr, "rotate once more")
		assert.NotContains(t, got.stderr, api.Mask)
		assert.NotContains(t, got.stderr, "--end "+webhookID)
	}
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.deliver(1, http.StatusOK)
	got := s.run("doctor")
	assert.Equal(t, exitOK, got.code, got.stdout)
	for _, says := range []string{"ok       api: it answers", "clock agrees", "1 webhook, 1 active",
		"none is degraded", "0 wait, 0 are in flight, 0 are dead", "1 succeeded, 0 died"} {
		assert.Contains(t, got.stdout, says)
	}
	s.deliver(2, http.StatusBadRequest)
	got = s.run("doctor")
	assert.Equal(t, exitOK, got.code, got.stdout)
	assert.Contains(t, got.stdout, "warning  last 24 hours: 1 succeeded, 2 died, 2 of them of "+webhookID)
	assert.Contains(t, strings.Join(strings.Fields(got.stdout), " "),
		"webhooks deliveries replay --all --dry-run "+webhookID+" counts what is dead")

	// A delivery that no process makes.
	s.emit(1)
	assert.Regexp(t, `ok       backlog: 1 wait, .* 2 are dead, the oldest that is due waits for [\d.]+m?s`,
		s.run("doctor").stdout)

	err := s.d.DisableEndpoint(t.Context(), "org",
		webhook.Endpoint{SubscriptionID: webhookID, Channel: "webhook"}, "ada")
	require.NoError(t, err)
	got = s.run("doctor", "--json")
	assert.Equal(t, exitNo, got.code)
	results := map[string]check{}
	for line := range strings.Lines(got.stdout) {
		c := decode[check](t, line)
		results[c.Check] = c
	}
	assert.Equal(t, checkFail, results["endpoint"].Result)
	assert.Contains(t, results["endpoint"].Detail, webhookID+" (shop) webhook has been disabled since ")
}

// The server's clock is read from its answers.
func TestDoctorComparesClocks(t *testing.T) {
	t.Parallel()
	for off, want := range map[time.Duration]string{
		0: checkOK, time.Minute: checkWarn, -time.Minute: checkWarn, time.Hour: checkFail,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
			if !strings.HasSuffix(r.URL.Path, "/health") {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}))
		t.Cleanup(server.Close)
		got := runs(t, env{envURL: server.URL}, "", "doctor", "--json")
		assert.Equal(t, exitUnreachable, got.code)
		assert.Equal(t, want, decode[check](t, strings.Split(got.stdout, "\n")[1]).Result, "%v", off)
	}
}

// The clock of a server that takes long to answer is not taken for a wrong one.
func TestASlowAnswerIsNoWrongClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, wait := range [][2]time.Duration{{10 * time.Second, 0}, {0, 10 * time.Second}} {
			for off, want := range map[time.Duration]time.Duration{0: 0, time.Minute: 50 * time.Second,
				-time.Minute: -50 * time.Second} {
				r := &dateRecorder{next: answering(func() *http.Response {
					time.Sleep(wait[0])
					date := time.Now().Add(off).UTC().Format(http.TimeFormat)
					time.Sleep(wait[1])
					return &http.Response{Header: http.Header{"Date": {date}}}
				})}
				_, err := r.RoundTrip(nil)
				require.NoError(t, err)
				got, known := r.off()
				assert.True(t, known)
				assert.InDelta(t, want, got, float64(11*time.Second), "%v, %v", off, wait)
				assert.Equal(t, want.Abs() > clockTolerance, got.Abs() > clockTolerance, "%v: %v", off, got)
			}
		}
	})
}

// answering is a RoundTripper that answers everything so.
type answering func() *http.Response

// RoundTrip implements [http.RoundTripper].
func (a answering) RoundTrip(*http.Request) (*http.Response, error) { return a(), nil }

// A replay of many can be begun, left, found again, watched and stopped.
func TestReplays(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	s := newService(t)
	assert.Contains(t, s.run("replays", "list").stderr, "There are no replays.")
	s.deliver(3, http.StatusBadRequest)
	s.answers.Store(http.StatusOK)
	got := s.run("deliveries", "replay", "--all", "--detach", "--per-second", "0.5", "--json", webhookID)
	require.Equal(t, exitOK, got.code, got.stderr)
	begun := decode[api.Replay](t, got.stdout)
	assert.Equal(t, api.ReplayRunning, begun.State)
	got = s.run("replays", "show", begun.ID)
	assert.Contains(t, got.stdout, begun.ID+"  running\n")
	assert.Contains(t, got.stdout, "remaining  3 deliveries\n")
	assert.Regexp(t, begun.ID+` +running +0 .* first +dead, `+webhookID+`\n`,
		s.run("replays", "list").stdout)

	interrupted, cancel := context.WithCancel(t.Context())
	left := make(chan call)
	go func() { left <- runsWith(interrupted, s.env, "", "replays", "show", "--follow", begun.ID) }()
	cancel()
	assert.Equal(t, exitInterrupted, (<-left).code)

	got = s.run("replays", "stop", begun.ID)
	assert.Equal(t, exitOK, got.code)
	assert.Contains(t, got.stdout, begun.ID+"  stopped\n")
	assert.Equal(t, exitNo, s.run("replays", "show", "--follow", begun.ID).code, "it has not come to its end")

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.d.Run(ctx) }()
	got = s.run("deliveries", "replay", "--all", "--json")
	assert.Equal(t, exitOK, got.code, got.stderr)
	all := decode[api.Replay](t, got.stdout)
	assert.Equal(t, api.ReplayEnded, all.State)
	assert.EqualValues(t, 3, all.Replayed)
	stop()
	require.NoError(t, <-ended)
	assert.Equal(t, exitNo, s.run("replays", "show", "rpl_0").code)
	assert.Equal(t, exitNo, s.run("replays", "stop", "rpl_0").code)
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	s := newService(t)
	assert.Contains(t, s.run("endpoints", "list").stderr, "No endpoints fit.")
	assert.Contains(t, s.run("endpoints", "list", webhookID).stdout, webhookID+"  shop  webhook  healthy")
	got := s.run("endpoints", "disable", webhookID)
	assert.Equal(t, exitOK, got.code)
	assert.Equal(t, webhookID+" webhook is disabled. Its deliveries wait until it is enabled: webhooks "+
		"endpoints enable "+webhookID+" webhook.\n", got.stdout)
	assert.Contains(t, s.run("endpoints", "list").stdout, webhookID+"  shop  webhook  disabled")
	assert.Contains(t, s.run("endpoints", "list", "--health", "degraded").stderr, "No endpoints fit.")
	assert.Contains(t, s.run("endpoints", "list", "--health", "healthy", webhookID).stderr,
		"No endpoints fit.")
	got = s.run("endpoints", "enable", webhookID)
	assert.Contains(t, got.stdout, webhookID+" webhook is enabled again. Deliveries that waited go out "+
		"gradually; the first that succeeds will confirm that it works.")
	assert.NotContains(t, got.stdout, "healthy", "nothing was tried yet")
	got = s.run("endpoints", "enable", "--json", webhookID, "webhook")
	assert.Equal(t, webhook.Healthy, decode[webhook.EndpointState](t, got.stdout).Health)
	for args, code := range map[string]int{
		"endpoints list --health ill":           exitUsage,
		"endpoints list --health healthy":       exitUsage,
		"endpoints list " + otherID:             exitNo,
		"endpoints enable":                      exitUsage,
		"endpoints enable " + otherID:           exitNo,
		"endpoints disable " + webhookID + " x": exitNo,
	} {
		assert.Equal(t, code, s.run(strings.Fields(args)...).code, args)
	}
}

// An endpoint that fails is shown with the name of its webhook, since when, and why in plain words.
func TestEndpointsThatFail(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	s := newServiceOn(t, store)
	state, err := s.d.EndpointState(t.Context(), "org",
		webhook.Endpoint{SubscriptionID: webhookID, Channel: "webhook"})
	require.NoError(t, err)
	now := time.Now().UTC().Truncate(time.Second)
	state.Health, state.Since, state.FailingSince = webhook.Degraded, now, now.Add(-time.Hour)
	state.NextProbe = now.Add(time.Hour)
	state.Cause = &webhook.EndpointCause{DeliveryID: 7, Class: "dns", Error: "lookup shop: no such host"}
	require.NoError(t, webhook.SetEndpointState(t.Context(), store, &state, 0))
	const cause = "the host name does not resolve: lookup shop: no such host"
	since, failing := stamp(state.Since), stamp(state.FailingSince)

	got := s.run("endpoints", "list").stdout
	assert.Regexp(t, `^WEBHOOK +NAME +CHANNEL +HEALTH +SINCE +FAILING SINCE +BY +CAUSE\n`, got)
	assert.Regexp(t, webhookID+" +shop +webhook +degraded +"+since+" +"+failing+" +"+cause+"\n", got)
	assert.Contains(t, s.run("endpoints", "list", "--json").stdout, `"webhook_name":"shop"`)
	got = s.run("endpoints", "show", webhookID).stdout
	assert.Contains(t, got, "webhook  degraded\n")
	for _, line := range []string{"since         " + since, "failing since " + failing,
		"cause         " + cause + ", at dlv_7\n", "next probe    " + stamp(state.NextProbe)} {
		assert.Contains(t, got, "\n  "+line)
	}
	_, found := checks(t, s.env)
	assert.Equal(t, webhookID+" (shop) webhook has been degraded since "+since+": "+cause+
		"; failing since "+failing, found["endpoint"].Detail)

	// It had failed until a person enabled it, who is not to be told that it was well until then.
	state.LastFailure = &webhook.EndpointFailure{Since: now.Add(-48 * time.Hour),
		Until: now.Add(-2 * time.Hour)}
	require.NoError(t, webhook.SetEndpointState(t.Context(), store, &state, 0))
	before, until := stamp(state.LastFailure.Since), stamp(state.LastFailure.Until)
	assert.Contains(t, s.run("endpoints", "show", webhookID).stdout,
		"\n  failed before "+before+" to "+until+", 2h")
	_, found = checks(t, s.env)
	assert.Equal(t, webhookID+" (shop) webhook has been degraded since "+since+": "+cause+
		"; failing since "+failing+"; before that it failed from "+before+" until it answered or was "+
		"enabled, at "+until, found["endpoint"].Detail)
}

// An endpoint that fails, but not for long enough to be degraded, is shown with its last failure.
func TestEndpointsThatBeginToFail(t *testing.T) {
	t.Parallel()
	s := newService(t)
	show := []string{"endpoints", "show", webhookID}
	s.deliver(1, http.StatusOK)
	assert.NotContains(t, s.run(show...).stdout, "last failure")
	s.deliver(1, http.StatusServiceUnavailable)
	s.deliver(1, http.StatusOK)
	assert.Regexp(t, `(?m)^webhook  healthy\n  last failure  .* ago: the endpoint answered 503 .* `+
		`\(dlv_[0-9]+\)$`, s.run(show...).stdout)
	view := decode[endpointView](t, s.run(append(show, "--json")...).stdout)
	assert.Equal(t, http.StatusServiceUnavailable, view.LastFailed.LastAttempt.StatusCode)
}

// An endpoint that takes one type of event and refuses another is named with that type.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newService(t)
	show := []string{"endpoints", "show", webhookID}
	got := s.run(show...)
	assert.Equal(t, exitOK, got.code, got.stderr)
	assert.Equal(t, webhookID+"  shop\n  last 24 h     0 succeeded, 0 died\nwebhook  healthy\n", got.stdout)
	_, found := checks(t, s.env)
	assert.Equal(t, checkOK, found["refusals"].Result)

	s.deliver(2, http.StatusOK)
	e := event.New("object.deleted", event.Subject{Type: "object", ID: "obj_1"})
	e.Namespace, e.OrganizationID = "acme", "org"
	s.answers.Store(http.StatusUnprocessableEntity)
	_, err := s.d.Emit(t.Context(), e)
	require.NoError(t, err)
	s.drain()
	got = s.run(show...)
	assert.Regexp(t, `(?m)^  refuses +object\.deleted: 1 of 1 delivery that was looked at, last .*, `+
		`with 422: .* \(dlv_3\)$`, got.stdout)
	assert.NotContains(t, got.stdout, "object.created")
	assert.Contains(t, got.stdout, "2 succeeded, 1 died; 66.6% of 3 attempts succeeded\n")
	view := decode[endpointView](t, s.run(append(show, "--json")...).stdout)
	assert.Equal(t, []any{"shop", 3, 1}, []any{view.Name, view.LookedAt, len(view.Refusals)})
	_, found = checks(t, s.env)
	assert.Equal(t, checkWarn, found["refusal"].Result)
	assert.Contains(t, found["refusal"].Detail, webhookID+" (shop) webhook refuses object.deleted: 1 of 1")
	assert.Contains(t, found["refusal"].Remedy, "webhooks deliveries show "+webhookID+" dlv_3")
	assert.Equal(t, exitNo, s.run("endpoints", "show", otherID).code)
	assert.Equal(t, exitUsage, s.run(append(show, "fax")...).code)
}

// A delivery that waits says why, and until when.
func TestDeliveriesSayWhyTheyWait(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.emit(1)
	show := func() string { return s.run("deliveries", "show", webhookID, "dlv_1").stdout }
	assert.Contains(t, show(), "waits       It is due, and waits for a process with a free place.")
	sub, err := s.d.Subscription(t.Context(), "org", webhookID)
	require.NoError(t, err)
	sub.RateLimit = &webhook.RateLimit{PerSecond: 0.5}
	require.NoError(t, s.d.UpdateSubscription(t.Context(), sub))
	got := show()
	assert.Contains(t, got, "its endpoint has a rate limit of 0.5 a second")
	assert.Regexp(t, `(?m)^  until +\d.*, in `, got)
	s.run("endpoints", "disable", webhookID)
	assert.Contains(t, show(), "waits       Its endpoint is disabled by ")
	assert.Contains(t, show(), "until a person enables it.")
	s.run("endpoints", "enable", webhookID)
	s.drain()
	assert.NotContains(t, show(), "waits")
}

// A delivery in a line says what it waits for, and one that holds its subject until when.
func TestDeliveriesInOrder(t *testing.T) {
	t.Parallel()
	s := newService(t)
	sub, err := s.d.Subscription(t.Context(), "org", webhookID)
	require.NoError(t, err)
	sub.Ordering = &webhook.Ordering{SkipAfter: time.Hour}
	require.NoError(t, s.d.UpdateSubscription(t.Context(), sub))
	s.deliver(2, http.StatusBadRequest)
	got := s.run("deliveries", "show", webhookID, "dlv_2")
	assert.Contains(t, got.stdout, "waits       dlv_1, an earlier event about the same subject, has its turn.")
	got = s.run("deliveries", "show", webhookID, "dlv_1")
	assert.Regexp(t, `holds +later events about its subject until it is replayed or skipped, or until .*, in `,
		got.stdout)
	got = s.run("deliveries", "skip", webhookID, "dlv_1")
	assert.Equal(t, exitOK, got.code, got.stderr)
	assert.NotContains(t, got.stdout, "holds")
	assert.NotContains(t, s.run("deliveries", "show", webhookID, "dlv_2").stdout, "has its turn")
}
