package examples_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/receiver/receivertest"
)

// readTimeout is what the receivers in other languages are told.
// It is less than the five seconds after which Node closes a connection on which nothing comes.
const readTimeout = 3 * time.Second

func TestGoReceiver(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	d := newDownstream(t)
	p := build(t).start(t, "receiver", []string{"RECEIVER_SECRET=" + secret}, "-dev",
		"-addr=127.0.0.1:0", "-notify="+d.url)
	runSuite(t, p, receivertest.Options{Credentials: receivertest.Credentials{Secret: secret},
		Hold: d.hold, Fail: d.fail})
}

func TestNodeReceiver(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	const folder = "receiver-node"
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(folder, "node_modules", "express"))
	}
	if err != nil {
		missing(t, "Express for Node.js is not installed: run 'npm ci' in examples/"+folder)
	}
	testForeignReceiver(t, folder, []string{node, "main.js"}, []string{node, "--test"})
}

func TestPythonReceiver(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	const folder = "receiver-python"
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import flask").Run() == nil {
			testForeignReceiver(t, folder, []string{python, "-B", "main.py"},
				[]string{python, "-B", "-m", "unittest"})
			return
		}
	}
	missing(t,
		"Flask for Python is not installed: install python3-flask, or requirements.txt of examples/"+folder)
}

// missing skips the test; where everything has to be installed, it fails.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// testForeignReceiver runs the receiver's own tests, and then the suite against
// it: with a secret, with signatures, and with both.
func testForeignReceiver(t *testing.T, folder string, main, tests []string) {
	t.Run("own tests", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, tests[0], tests[1:]...)
		cmd.Dir = folder
		output, err := cmd.CombinedOutput()
		require.NoError(t, err, string(output))
	})
	key := signature.NewKey()
	signer, err := signature.NewSigner(key)
	require.NoError(t, err)
	for name, credentials := range map[string]receivertest.Credentials{
		"secret":               {Secret: secret},
		"signature":            {Signer: signer},
		"secret and signature": {Secret: secret, Signer: signer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDownstream(t)
			cmd := exec.Command(main[0], main[1:]...)
			cmd.Dir = folder
			cmd.Env = append(os.Environ(), "RECEIVER_ADDR=127.0.0.1:0", "RECEIVER_NOTIFY="+d.url,
				"NO_PROXY=127.0.0.1",
				fmt.Sprint("RECEIVER_READ_TIMEOUT=", readTimeout.Seconds()))
			if credentials.Secret != "" {
				cmd.Env = append(cmd.Env, "RECEIVER_SECRET="+secret)
			}
			if credentials.Signer != nil {
				cmd.Env = append(cmd.Env, "RECEIVER_SIGNING_KEY="+key.Reveal())
			}
			p := start(t, folder, cmd)
			runSuite(t, p, receivertest.Options{Credentials: credentials, ReadTimeout: readTimeout,
				Hold: d.hold, Fail: d.fail})
		})
	}
}

// downstream is a service that a receiver tells about each event, and so a place
// where its handler can be held.
type downstream struct {
	url  string
	mu   sync.Mutex
	held map[string]chan struct{} // by event id, closed when released
	down map[string]bool          // by event id: it cannot be told
}

func newDownstream(t *testing.T) *downstream {
	t.Helper()
	d := &downstream{held: make(map[string]chan struct{}), down: make(map[string]bool)}
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

func (d *downstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		return // a page, such as that of a login
	}
	var told struct {
		EventID string `json:"event_id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&told); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	d.mu.Lock()
	held, down := d.held[told.EventID], d.down[told.EventID]
	d.mu.Unlock()
	if held != nil {
		<-held
	}
	if down { // who follows it makes a GET, is answered 200, and has told nothing
		http.Redirect(w, r, "/login", http.StatusFound)
	}
}

func (d *downstream) hold(_ context.Context, eventID string) (release func(), err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	held := make(chan struct{})
	d.held[eventID] = held
	return func() { close(held) }, nil
}

func (d *downstream) fail(_ context.Context, eventID string) (recovered func(), err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down[eventID] = true
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.down, eventID)
	}, nil
}

// runSuite sends a receiver all that it has to cope with. The receiver logs what
// it handles.
func runSuite(t *testing.T, p *process, options receivertest.Options) {
	t.Helper()
	options.Handled = func(_ context.Context, eventID string) (int, error) {
		return len(p.logged("handled", eventID)), nil
	}
	options.Timeout = 10 * time.Minute // for a busy machine
	receivertest.Run(t, p.url("/webhooks"), options)
	p.stop()
	if strings.Contains(p.said(), secret) {
		t.Error("the secret is in the log")
	}
}
