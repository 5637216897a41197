package examples_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long a process may take for anything.
const patience = time.Minute

// programs is the folder with the built servers.
type programs string

var folderOfPrograms string

func TestMain(m *testing.M) {
	var err error
	if folderOfPrograms, err = os.MkdirTemp("", "webhooks-examples-"); err != nil {
		panic(err)
	}
	m.Run()
	if err := os.RemoveAll(folderOfPrograms); err != nil {
		panic(err)
	}
}

// withoutDebugInfo saves half of the time that linking takes. The commands go test and go run use it,
// too.
const withoutDebugInfo = "-ldflags=-w"

// buildServers builds the servers once for all tests.
var buildServers = sync.OnceValue(func() error {
	output, err := exec.Command("go", "build", withoutDebugInfo, "-o",
		folderOfPrograms+string(filepath.Separator), "./emitter", "./receiver").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, output)
	}
	return err
})

func build(t *testing.T) programs {
	t.Helper()
	require.NoError(t, buildServers())
	return programs(folderOfPrograms)
}

func (p programs) command(
	ctx context.Context, t *testing.T, name string, env, args []string,
) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(string(p), name), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// run runs a server that is expected to end by itself.
func (p programs) run(
	t *testing.T, name string, env []string, args ...string,
) (output string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := p.command(ctx, t, name, env, args).CombinedOutput()
	require.NoError(t, ctx.Err(), "the "+name+" did not end")
	return string(out), err
}

func (p programs) start(t *testing.T, name string, env []string, args ...string) *process {
	t.Helper()
	return start(t, name, p.command(context.Background(), t, name, env,
		args)) // outlives t.Context by the clean-up
}

// start starts a server, and ends it with the test if the test does not.
func start(t *testing.T, name string, cmd *exec.Cmd) *process {
	t.Helper()
	output, err := os.Create(filepath.Join(t.TempDir(), "output"))
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = output, output
	require.NoError(t, cmd.Start())
	require.NoError(t, output.Close())
	s := &process{t: t, name: name, cmd: cmd, output: output.Name(), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		s.exitErr = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has usually ended
		<-s.ended
		if t.Failed() {
			t.Logf("%s said:\n%s", name, s.said())
		}
	})
	return s
}

// A process is a running server. Its output is a file, so that what it logged
// before it answered can be read after the answer.
type process struct {
	t       *testing.T
	name    string
	cmd     *exec.Cmd
	output  string
	ended   chan struct{} // closed once the process has ended, and exitErr is set
	exitErr error
}

func (s *process) said() string {
	output, err := os.ReadFile(s.output)
	assert.NoError(s.t, err)
	return string(output)
}

// logged returns the lines with this message and, unless it is empty, event id.
func (s *process) logged(msg, eventID string) []map[string]any {
	var list []map[string]any
	for text := range strings.Lines(s.said()) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) != nil { // no log line, or only the beginning of one
			continue
		}
		if line["msg"] == msg && (eventID == "" || line["event_id"] == eventID) {
			list = append(list, line)
		}
	}
	return list
}

// await waits for the first line that logged returns.
func (s *process) await(msg, eventID string) map[string]any {
	s.t.Helper()
	timeout := time.After(patience)
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for {
		ended := s.hasEnded()
		if lines := s.logged(msg, eventID); len(lines) > 0 {
			return lines[0]
		}
		if ended {
			require.FailNow(s.t, "the "+s.name+" ended before it logged "+msg)
		}
		select {
		case <-poll.C:
		case <-timeout:
			require.FailNow(s.t, "the "+s.name+" did not log "+msg)
		}
	}
}

func (s *process) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

func (s *process) url(path string) string {
	s.t.Helper()
	addr, _ := s.await("listening", "")["addr"].(string)
	return "http://" + addr + path
}

// signal asks the process to stop.
func (s *process) signal() {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(syscall.SIGTERM))
}

// wait waits for the process to end, which it has to do with exit code 0.
func (s *process) wait() {
	s.t.Helper()
	select {
	case <-s.ended:
		assert.NoError(s.t, s.exitErr, s.name)
	case <-time.After(patience):
		require.FailNow(s.t, "the "+s.name+" does not stop")
	}
}

func (s *process) stop() {
	s.t.Helper()
	s.signal()
	s.wait()
}
