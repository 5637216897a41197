package examples_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var monitored = flag.Bool("prometheus", false,
	"test the alert rules, and let a Prometheus scrape the emitter: half a minute of CPU time")

// prometheusTool returns the path of a program of Prometheus.
func prometheusTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no %s, which CI=true requires: install Debian's package prometheus", name)
		}
		t.Skipf("%s is not installed: dashboard and alerts are not tested", name)
	}
	return path
}

func TestAlertRules(t *testing.T) {
	if !*monitored {
		t.Skip("only with -prometheus")
	}
	t.Parallel()
	promtool := prometheusTool(t, "promtool")
	for _, args := range [][]string{
		{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"},
	} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = "monitoring"
		output, err := cmd.CombinedOutput()
		require.NoError(t, err, string(output))
	}
}

func TestAlertsAreExplainedAndTested(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("monitoring/README.md")
	require.NoError(t, err)
	tests, err := os.ReadFile("monitoring/alerts_test.yml")
	require.NoError(t, err)
	names := alertNames(t)
	for _, name := range names {
		assert.Contains(t, string(text), "\n### "+name+"\n", "the page says what each alert means")
		assert.Regexp(t, `alertname: `+name+`\n +eval_time: \w+\n +exp_alerts:`, string(tests),
			"%s has a test in which it fires", name)
		assert.Contains(t, string(tests), "{alertname: "+name+", eval_time: ",
			"%s has a test in which it does not", name)
	}
	assert.Equal(t, len(names), strings.Count(string(text), "\n### "))
}

var alertPattern = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)

func alertNames(t *testing.T) (names []string) {
	t.Helper()
	rules, err := os.ReadFile("monitoring/alerts.yml")
	require.NoError(t, err)
	for _, match := range alertPattern.FindAllStringSubmatch(string(rules), -1) {
		names = append(names, match[1])
	}
	require.NotEmpty(t, names)
	return names
}

// TestMonitoring lets a real Prometheus scrape the emitter while it has traffic, and evaluates
// every expression of the dashboard and of the alerts.
func TestMonitoring(t *testing.T) {
	if !*monitored {
		t.Skip("only with -prometheus")
	}
	t.Parallel()
	binary := prometheusTool(t, "prometheus")
	programs := build(t)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "object.deleted") {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(endpoint.Close)
	address := freeAddress(t)
	p := startPrometheus(t, binary, address)
	// The emitter prunes a few seconds after its start, and then in a minute: it is scraped before.
	require.Eventually(t, func() bool { return len(p.query(t, "up")) > 0 }, patience,
		20*time.Millisecond, "Prometheus does not scrape")
	emitter := programs.start(t, "emitter", []string{"EMITTER_SECRET=" + secret}, "-dev",
		"-addr="+address, "-db="+filepath.Join(t.TempDir(), "emitter.db"), "-url="+endpoint.URL)
	for _, path := range []string{"/healthz", "/livez", "/metrics"} {
		resp, err := http.Get(emitter.url(path))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, http.StatusOK, resp.StatusCode, path)
	}
	traffic, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; traffic.Err() == nil; n++ {
			eventType := []string{"object.created", "object.updated", "object.deleted"}[n%3]
			resp, err := http.Post(emitter.url("/events"), "application/json", strings.NewReader(
				`{"event_type":"`+eventType+`","namespace":"acme","subject":{"type":"object","id":"obj_1"}}`))
			if err == nil {
				_ = resp.Body.Close()
			}
			time.Sleep(50 * time.Millisecond) // some events a second
		}
	}()
	defer func() { stop(); <-ended }()

	for name, expression := range p.expressions(t) {
		var values []float64
		if !assert.Eventually(t, func() bool {
			values = p.query(t, expression)
			for _, value := range values {
				if !math.IsNaN(value) && !math.IsInf(value, 0) {
					return true
				}
			}
			return false
		}, 2*time.Minute, 200*time.Millisecond, "%s: %s", name, expression) {
			t.Log(name, values)
		}
	}
	for name, health := range p.rules(t) {
		assert.Equal(t, "ok", health, "rule %s", name)
	}
}

// prometheus is a running Prometheus.
type prometheus struct{ url string }

// freeAddress returns an address on which a server can listen.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().String()
}

// startPrometheus starts one that scrapes the target.
func startPrometheus(t *testing.T, binary, target string) *prometheus {
	t.Helper()
	here, err := os.Getwd()
	require.NoError(t, err)
	folder := t.TempDir()
	config := filepath.Join(folder, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}
rule_files: [%q]
scrape_configs:
  - job_name: emitter
    static_configs: [{targets: [%q]}]
`, filepath.Join(here, "monitoring", "alerts.yml"), target), 0o600))
	for range 3 { // another process may take the port
		address := freeAddress(t)
		server := start(t, "prometheus", exec.CommandContext(context.Background(), binary,
			"--config.file="+config, "--storage.tsdb.path="+filepath.Join(folder, "data"),
			"--web.listen-address="+address, "--log.level=warn"))
		p := &prometheus{"http://" + address}
		timeout := time.Now().Add(patience)
		for !server.hasEnded() && time.Now().Before(timeout) {
			resp, err := http.Get(p.url + "/-/ready")
			if err == nil {
				_ = resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					return p
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	require.FailNow(t, "Prometheus does not start")
	return nil
}

// get reads data from the API.
func (p *prometheus) get(t *testing.T, path string, data any) {
	t.Helper()
	resp, err := http.Get(p.url + path)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	require.Equal(t, "success", answer.Status, "%s: %s", path, answer.Error)
}

// query returns the values of an expression now.
func (p *prometheus) query(t *testing.T, expression string) (values []float64) {
	t.Helper()
	var data struct {
		Result []struct{ Value [2]any }
	}
	p.get(t, "/api/v1/query?query="+url.QueryEscape(expression), &data)
	for _, r := range data.Result {
		text, ok := r.Value[1].(string)
		require.True(t, ok)
		value, err := strconv.ParseFloat(text, 64)
		require.NoError(t, err)
		values = append(values, value)
	}
	return values
}

type ruleGroups struct {
	Groups []struct {
		Rules []struct{ Name, Query, Health string }
	}
}

// rules returns how the evaluation of each alert rule went.
func (p *prometheus) rules(t *testing.T) map[string]string {
	t.Helper()
	health := make(map[string]string)
	require.Eventually(t, func() bool {
		var groups ruleGroups
		p.get(t, "/api/v1/rules", &groups)
		for _, group := range groups.Groups {
			for _, rule := range group.Rules {
				if rule.Health == "unknown" { // not evaluated yet
					return false
				}
				health[rule.Name] = rule.Health
			}
		}
		return len(health) > 0
	}, patience, 50*time.Millisecond)
	require.Len(t, health, len(alertNames(t)))
	return health
}

var (
	comparison = regexp.MustCompile(`(==|!=|>=|<=|>|<) *(-?[0-9])`)
	absent     = regexp.MustCompile(`\babsent\(([^()]*)\)`)
)

// expressions returns those of the dashboard, with a value for each variable, and those of the
// alerts, in a form that has a result whether or not the alert fires.
func (p *prometheus) expressions(t *testing.T) map[string]string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ RefID, Expr string }
		}
	}
	text, err := os.ReadFile("monitoring/dashboard.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &dashboard))
	found := make(map[string]string)
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			found[panel.Title+" "+target.RefID] = strings.NewReplacer(
				"$__rate_interval", "5m", "$job", "emitter").Replace(target.Expr)
		}
	}
	require.Greater(t, len(found), 30)
	var groups ruleGroups
	p.get(t, "/api/v1/rules", &groups)
	alerts := 0
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			alerts++
			inner := absent.ReplaceAllString(rule.Query, "$1")
			inner = strings.ReplaceAll(inner, " unless ", " or ")
			found[rule.Name] = comparison.ReplaceAllString(inner, "$1 bool $2")
		}
	}
	require.Len(t, alertNames(t), alerts)
	return found
}
