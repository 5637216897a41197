package examples_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long a process may take for anything.
const patience = 20 * time.Second

// programs is the folder with the built servers.
type programs string

func build(t *testing.T) programs {
	t.Helper()
	folder := t.TempDir()
	output, err := exec.Command("go", "build", "-o", folder+string(filepath.Separator), "./emitter", "./receiver").CombinedOutput()
	require.NoError(t, err, string(output))
	return programs(folder)
}

func (p programs) command(ctx context.Context, t *testing.T, name string, env, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(string(p), name), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// run runs a server that is expected to end by itself.
func (p programs) run(t *testing.T, name string, env []string, args ...string) (output string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := p.command(ctx, t, name, env, args).CombinedOutput()
	require.NoError(t, ctx.Err(), "the "+name+" did not end")
	return string(out), err
}

// start starts a server, and ends it with the test if the test does not.
func (p programs) start(t *testing.T, name string, env []string, args ...string) *process {
	t.Helper()
	cmd := p.command(context.Background(), t, name, env, args) // outlives t.Context by the clean-up
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	s := &process{t: t, name: name, cmd: cmd, more: make(chan struct{}, 1), ended: make(chan struct{})}
	go s.read(stderr)
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has usually ended
		<-s.ended
		if t.Failed() {
			t.Logf("%s said:\n%s", name, s.said())
		}
	})
	return s
}

// A process is a running server and what it has logged.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd

	mu      sync.Mutex
	output  bytes.Buffer
	lines   []map[string]any
	more    chan struct{} // gets something after each line
	ended   chan struct{} // closed once the process has ended, and exit is set
	exitErr error
}

func (s *process) read(stderr io.Reader) {
	defer close(s.ended)
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		var line map[string]any
		_ = json.Unmarshal(lines.Bytes(), &line) // what is no log line is only kept as output
		s.mu.Lock()
		s.output.Write(append(lines.Bytes(), '\n'))
		s.lines = append(s.lines, line)
		s.mu.Unlock()
		select {
		case s.more <- struct{}{}:
		default:
		}
	}
	s.exitErr = s.cmd.Wait()
}

func (s *process) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.output.String()
}

// logged returns the lines with this message.
func (s *process) logged(msg string) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []map[string]any
	for _, line := range s.lines {
		if line["msg"] == msg {
			list = append(list, line)
		}
	}
	return list
}

// await waits for a line with this message and, unless it is empty, event id.
func (s *process) await(msg, eventID string) map[string]any {
	s.t.Helper()
	timeout := time.After(patience)
	for {
		var ended bool
		select {
		case <-s.ended:
			ended = true
		default:
		}
		for _, line := range s.logged(msg) {
			if eventID == "" || line["event_id"] == eventID {
				return line
			}
		}
		if ended {
			require.FailNow(s.t, "the "+s.name+" ended before it logged "+msg)
		}
		select {
		case <-s.more:
		case <-s.ended:
		case <-timeout:
			require.FailNow(s.t, "the "+s.name+" did not log "+msg)
		}
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
