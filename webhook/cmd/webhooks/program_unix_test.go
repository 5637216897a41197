//go:build unix

package main

import (
	"bytes"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var shells = flag.Bool("shells", false, "run the completion in bash, zsh and fish")

// The program as people use it: in pipes, interrupted, and on a terminal.
func TestProgram(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the program")
	}
	folder := t.TempDir()
	program := filepath.Join(folder, "webhooks")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-w", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", output)
	t.Run("pipe", func(t *testing.T) { t.Parallel(); inPipe(t, program) })
	t.Run("pipe without a reader", func(t *testing.T) { t.Parallel(); withoutReader(t, program) })
	t.Run("interrupt", func(t *testing.T) { t.Parallel(); interrupted(t, program) })
	t.Run("terminal", func(t *testing.T) { t.Parallel(); onTerminal(t, folder) })
	if !*shells {
		return
	}
	for shell, start := range map[string]string{
		"bash": "bash --norc --noprofile", "zsh": "zsh -f", "fish": "fish --no-config --private",
	} {
		t.Run(shell, func(t *testing.T) { t.Parallel(); completes(t, folder, shell, start) })
	}
}

// inPipe passes a request from one program to another.
func inPipe(t *testing.T, program string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", `
printf '{"event_id":"evt_1","event_type":"object.created"}' > event.json
"$0" secret new > secret
"$0" sign --secret-file secret --to http://example.com/ event.json | "$0" verify --secret-file secret
printf %s "$(cat secret)" | "$0" sign --secret-file - event.json | grep -c webhook-`, program)
	cmd.Dir = t.TempDir()
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", output)
	assert.Regexp(t, `^accepted: evt_1, signed by secret 1 at \S+\n3\n$`, string(output))
}

// withoutReader writes to a pipe whose reader has gone, as that of "webhooks … | head" has.
func withoutReader(t *testing.T, program string) {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, "help")
	cmd.Stdout, cmd.Stderr = w, &stderr
	err = cmd.Run()
	require.NoError(t, w.Close())
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	status, ok := exit.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	assert.Equal(t, syscall.SIGPIPE, status.Signal())
	assert.Empty(t, stderr.String())
}

// newHanging serves an API that does not answer, and tells of each request.
func newHanging(t *testing.T) (address string, arrived chan struct{}) {
	t.Helper()
	arrived = make(chan struct{}, 8)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not see that the client has gone
		arrived <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-t.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, arrived
}

func interrupted(t *testing.T, program string) {
	t.Helper()
	address, arrived := newHanging(t)
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		var stdout, stderr bytes.Buffer
		cmd := exec.CommandContext(t.Context(), program, "deliveries", "export", "--url", address)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		require.NoError(t, cmd.Start())
		<-arrived
		require.NoError(t, cmd.Process.Signal(signal))
		var exit *exec.ExitError
		require.ErrorAs(t, cmd.Wait(), &exit)
		assert.Equal(t, exitInterrupted, exit.ExitCode())
		assert.Empty(t, stdout.String())
		assert.Equal(t, "webhooks: interrupted\n", stderr.String())
	}
}

// terminal is a window of tmux.
type terminal struct {
	t      *testing.T
	socket string
}

// newTerminal starts a command in a terminal of its own. Each name of the environment is followed
// by its value.
func newTerminal(t *testing.T, command string, environment ...string) *terminal {
	t.Helper()
	need(t, "tmux")
	// Not t.TempDir: names of sockets must be short, and a shell that is ended writes what was typed to
	// its home when tmux has ended already.
	folder, err := os.MkdirTemp("", "tmux")
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.Eventually(t, func() bool { return os.RemoveAll(folder) == nil }, time.Minute,
			20*time.Millisecond, "a shell goes on to write into %s", folder)
	})
	term := &terminal{t, filepath.Join(folder, "s")}
	args := []string{"-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "50", "-c", folder}
	environment = append(environment, "HOME="+folder, "NO_COLOR=")
	for _, setting := range environment {
		args = append(args, "-e", setting)
	}
	term.tmux(append(args, command)...)
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", term.socket, "kill-server").Run() })
	return term
}

func need(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no %s, which CI=true requires", tool)
		}
		t.Skipf("%s is not installed", tool)
	}
}

func (term *terminal) tmux(args ...string) string {
	term.t.Helper()
	cmd := exec.CommandContext(term.t.Context(), "tmux", append([]string{"-S", term.socket}, args...)...)
	output, err := cmd.CombinedOutput()
	require.NoError(term.t, err, "%s", output)
	return string(output)
}

// types presses keys: text, or names such as Enter and Tab.
func (term *terminal) types(keys ...string) { term.tmux(append([]string{"send-keys"}, keys...)...) }

// prepare sets PATH, which shells set again when they start, and runs a command.
func (term *terminal) prepare(folder, command string) {
	term.t.Helper()
	term.types("export PATH="+folder+":/usr/bin:/bin; "+command+"; clear; echo rea''dy", "Enter")
	term.shows("ready")
}

// shows waits until the screen has a text, and returns the screen with its colours.
func (term *terminal) shows(text string) string {
	term.t.Helper()
	var screen string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		screen = term.tmux("capture-pane", "-p", "-e")
		if strings.Contains(screen, text) {
			return screen
		}
		time.Sleep(20 * time.Millisecond)
	}
	require.Fail(term.t, "not on the screen: "+text, "%s", strings.TrimSpace(screen))
	return ""
}

func onTerminal(t *testing.T, folder string) {
	t.Helper()
	address, _ := newHanging(t)
	s := newService(t)
	term := newTerminal(t, "bash --norc --noprofile", envURL+"="+s.env[envURL],
		envAPIKey+"="+s.env[envAPIKey])
	term.prepare(folder, "true")
	// Each step ends with a word of its own, which is not on the screen before.
	term.types("webhooks doctor; echo first $?", "Enter")
	assert.Contains(t, term.shows("first 0"), "\x1b[32mok")

	term.types("clear; NO_COLOR=1 webhooks doctor; echo second $?", "Enter")
	screen := term.shows("second 0")
	assert.Contains(t, screen, "0 died")
	assert.NotContains(t, screen, "\x1b[32m")

	// Progress is there while it takes long, and gone afterwards.
	term.types("clear; webhooks trigger --test "+webhookID+" --url "+address+"; echo third $?", "Enter")
	term.shows("waiting for the endpoint")
	term.types("C-c")
	screen = term.shows("third 130")
	assert.NotContains(t, screen, "waiting for the endpoint")
	assert.Contains(t, screen, "interrupted")

	// A person who forgets the file learns what the program waits for.
	term.types("clear; webhooks template render; echo fourth $?", "Enter")
	term.shows("Reading the template from the standard input; end it with ctrl-D.")
	term.types("-l", "{{ event_type }}")
	term.types("Enter", "C-d")
	assert.Contains(t, term.shows("fourth 0"), "\nobject.created\n")
}

// completes presses the tabulator in a shell.
func completes(t *testing.T, folder, shell, start string) {
	t.Helper()
	need(t, shell)
	term := newTerminal(t, start)
	load := map[string]string{
		"bash": "source <(webhooks completion bash)",
		"zsh":  "autoload -U compinit; compinit -D -u; source <(webhooks completion zsh)",
		"fish": "webhooks completion fish | source",
	}[shell]
	term.prepare(folder, load)
	for typed, want := range map[string]string{
		"webhooks deliv": "webhooks deliveries", "webhooks secret ro": "webhooks secret rotate",
		"webhooks verify --any": "webhooks verify --any-body", "webhooks completion fi": "webhooks completion fish",
	} {
		term.types("-l", typed)
		term.types("Tab")
		term.shows(want)
		term.types("C-u", "C-l")
	}
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(term.socket), "request.txt"), nil, 0o600))
	term.types("-l", "webhooks verify "+filepath.Dir(term.socket)+"/req")
	term.types("Tab")
	term.shows("/request.txt")
}
