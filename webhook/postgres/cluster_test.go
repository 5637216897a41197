//go:build unix

package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cluster is a PostgreSQL of a test's own, which it may stop, crash and fill.
// It listens on a socket in its directory only.
type cluster struct {
	dir    string // the data are in data/
	server *exec.Cmd
	exited chan struct{}
}

// binaries is where initdb and postgres are; empty if they are not installed.
var binaries = sync.OnceValue(func() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil { // the others are in the same directory
			return filepath.Dir(path)
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return ""
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(found[len(found)-1])
})

// serverUser runs the servers, because they refuse to run as root; nil is
// the user of this process.
func serverUser(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	postgres, err := user.Lookup("postgres")
	require.NoError(t, err)
	uid, err := strconv.Atoi(postgres.Uid)
	require.NoError(t, err)
	gid, err := strconv.Atoi(postgres.Gid)
	require.NoError(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// clusterDir makes a directory for a cluster that its user may enter. The name
// is short, because those of sockets have to be.
func clusterDir(t testing.TB) string {
	t.Helper()
	if binaries() == "" {
		if os.Getenv("CI") == "true" {
			require.Fail(t, "needs initdb and postgres")
		}
		t.Skip("needs initdb and postgres, to make a server that can be stopped")
	}
	dir, err := os.MkdirTemp("", "webhooks-pg-")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	giveToServer(t, dir)
	return dir
}

func giveToServer(t testing.TB, path string) {
	t.Helper()
	if as := serverUser(t); as != nil {
		require.NoError(t, os.Chown(path, int(as.Uid), int(as.Gid)))
	}
}

// newCluster makes a cluster and starts it. The settings are those of
// postgresql.conf.
func newCluster(t testing.TB, settings ...string) *cluster {
	t.Helper()
	return initCluster(t, clusterDir(t), nil, settings...)
}

// initCluster is newCluster in a directory that exists, with options of initdb.
func initCluster(t testing.TB, dir string, options []string, settings ...string) *cluster {
	t.Helper()
	c := &cluster{dir: dir}
	c.run(t, "initdb", append([]string{
		"-D", c.data(), "-U", "postgres", "-A", "trust", "--no-sync", "--wal-segsize=1", "-E", "UTF8",
		"--locale=C",
	}, options...)...)
	config, err := os.OpenFile(filepath.Join(c.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	// No crash here is one of the machine, so nothing has to reach the disk.
	for _, setting := range append([]string{"listen_addresses = ''", "fsync = off",
		"max_connections = 60", "shared_buffers = '16MB'"}, settings...) {
		_, err = fmt.Fprintln(config, setting)
		require.NoError(t, err)
	}
	require.NoError(t, config.Close())
	c.start(t)
	return c
}

func (c *cluster) data() string { return filepath.Join(c.dir, "data") }

// dsn is how to connect, with further keyword=value pairs.
func (c *cluster) dsn(more string) string {
	return "host=" + c.dir + " user=postgres dbname=postgres " + more
}

// command is one of PostgreSQL's programs.
func (c *cluster) command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(binaries(), name), args...)
	cmd.Dir = c.dir
	// Of its own group, so that an interrupt of the test leaves its end to the cleanup.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: serverUser(t), Setpgid: true}
	return cmd
}

func (c *cluster) run(t testing.TB, name string, args ...string) {
	t.Helper()
	out, err := c.command(t, name, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// start starts the server, and returns when it takes connections.
func (c *cluster) start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(c.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer func() { assert.NoError(t, log.Close()) }()
	cmd := c.command(t, "postgres", "-D", c.data(), "-k", c.dir)
	cmd.Stderr = log
	require.NoError(t, cmd.Start())
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // a crash is an error
	}()
	c.server, c.exited = cmd, exited
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGQUIT)
		<-exited
	})
	eventually(t, "the server must come up", func() bool {
		conn, err := pgx.Connect(context.Background(), c.dsn(""))
		if err != nil {
			return false
		}
		return conn.Close(context.Background()) == nil
	})
}

// Ways of stopping a server.
const (
	stopFast      = syscall.SIGINT  // connections are cut, transactions rolled back
	stopImmediate = syscall.SIGQUIT // as in a crash
)

func (c *cluster) stop(t testing.TB, how syscall.Signal) {
	t.Helper()
	require.NoError(t, c.server.Process.Signal(how))
	<-c.exited
}

// logged says whether the server's log has the word.
func (c *cluster) logged(t testing.TB, word string) bool {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(c.dir, "log"))
	require.NoError(t, err)
	return bytes.Contains(log, []byte(word))
}

// exec runs statements on a connection of its own, one by one.
func (c *cluster) exec(t testing.TB, statements ...string) {
	t.Helper()
	execAt(t, c.dsn(""), statements...)
}

// guard makes the server ask for the role's password.
func (c *cluster) guard(t testing.TB, role string) {
	t.Helper()
	path := filepath.Join(c.data(), "pg_hba.conf")
	rules, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path,
		append([]byte("local all "+role+" scram-sha-256\n"), rules...), 0)) // it exists
	c.exec(t, "SELECT pg_reload_conf()")
	eventually(t, "the password must be asked for", func() bool {
		conn, err := pgx.Connect(context.Background(), "host="+c.dir+" dbname=postgres user="+role)
		if err != nil {
			return true
		}
		_ = conn.Close(context.Background())
		return false
	})
}

// lock locks a table until the returned function is called.
func (c *cluster) lock(t testing.TB, table string) (unlock func()) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, c.dsn(""))
	require.NoError(t, err)
	_, err = conn.Exec(ctx, "BEGIN; LOCK TABLE "+table)
	require.NoError(t, err)
	return func() { require.NoError(t, conn.Close(ctx)) }
}
