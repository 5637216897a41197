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

// cluster is a PostgreSQL server that belongs to one test, which may stop it, crash it and fill its
// disk. It only listens on a socket in its directory.
type cluster struct {
	dir    string // its data directory is data/ in it
	server *exec.Cmd
	exited chan struct{}
}

// binaries returns the directory of initdb and postgres, or "" if they are not installed.
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

// serverUser returns the user that runs the servers, because PostgreSQL refuses to run as root. Nil
// means the user of this process.
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

// clusterDir makes a directory that the user of the server may enter. Its name is short, because
// the server's socket is in it, and the length of a socket's path is limited.
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

// newCluster makes a cluster and starts it. The settings are lines of postgresql.conf.
func newCluster(t testing.TB, settings ...string) *cluster {
	t.Helper()
	return initCluster(t, clusterDir(t), "", settings...)
}

// initCluster is newCluster in an existing directory. If walDir is not empty, the server's write-ahead
// log goes there: to a directory that does not exist yet.
func initCluster(t testing.TB, dir, walDir string, settings ...string) *cluster {
	t.Helper()
	c := &cluster{dir: dir}
	c.run(t, "/bin/cp", "-R", "-p", freshCluster(t), c.data())
	if wal := filepath.Join(c.data(), "pg_wal"); walDir != "" {
		c.run(t, "/bin/cp", "-R", "-p", wal, walDir)
		require.NoError(t, os.RemoveAll(wal))
		require.NoError(t, os.Symlink(walDir, wal))
	}
	config, err := os.OpenFile(filepath.Join(c.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	// Servers crash here, but the machine does not. So nothing needs to reach the disk.
	for _, setting := range append([]string{"listen_addresses = ''", "fsync = off",
		"max_connections = 60", "shared_buffers = '16MB'"}, settings...) {
		_, err = fmt.Fprintln(config, setting)
		require.NoError(t, err)
	}
	require.NoError(t, config.Close())
	c.start(t)
	return c
}

// A data directory of initdb, which takes a second of CPU time to make, so that tests copy it.
var fresh struct {
	once sync.Once
	c    *cluster
}

// freshCluster returns a data directory that no server has run on.
func freshCluster(t testing.TB) string {
	t.Helper()
	fresh.once.Do(func() {
		dir, err := os.MkdirTemp("", "webhooks-pg-")
		require.NoError(t, err)
		giveToServer(t, dir)
		fresh.c = &cluster{dir: dir}
		fresh.c.run(t, "initdb", "-D", fresh.c.data(), "-U", "postgres", "-A", "trust", "--no-sync",
			"--wal-segsize=1", "-E", "UTF8", "--locale=C")
	})
	require.NotNil(t, fresh.c, "initdb failed in another test")
	return fresh.c.data()
}

// removeFreshCluster is called once all tests are over.
func removeFreshCluster() error {
	if fresh.c == nil {
		return nil
	}
	return os.RemoveAll(fresh.c.dir)
}

func (c *cluster) data() string { return filepath.Join(c.dir, "data") }

// dsn returns the connection string, with further keyword=value pairs.
func (c *cluster) dsn(more string) string {
	return "host=" + c.dir + " user=postgres dbname=postgres " + more
}

// command returns a command that runs one of PostgreSQL's programs, or the one of an absolute path.
func (c *cluster) command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(binaries(), name)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = c.dir
	// It has its own process group. If the test is interrupted, the cleanup ends the program.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: serverUser(t), Setpgid: true}
	return cmd
}

func (c *cluster) run(t testing.TB, name string, args ...string) {
	t.Helper()
	out, err := c.command(t, name, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// start starts the server, and returns when the server accepts connections.
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
	eventually(t, "the server must start", func() bool {
		conn, err := pgx.Connect(context.Background(), c.dsn(""))
		if err != nil {
			return false
		}
		return conn.Close(context.Background()) == nil
	})
}

// Ways of stopping a server.
const (
	stopFast      = syscall.SIGINT  // the server closes connections and rolls back transactions
	stopImmediate = syscall.SIGQUIT // the server ends as in a crash
)

func (c *cluster) stop(t testing.TB, how syscall.Signal) {
	t.Helper()
	require.NoError(t, c.server.Process.Signal(how))
	<-c.exited
}

// logged reports whether the server's log contains the word.
func (c *cluster) logged(t testing.TB, word string) bool {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(c.dir, "log"))
	require.NoError(t, err)
	return bytes.Contains(log, []byte(word))
}

// exec runs statements one by one on a new connection.
func (c *cluster) exec(t testing.TB, statements ...string) {
	t.Helper()
	execAt(t, c.dsn(""), statements...)
}

// guard makes the server require the role's password.
func (c *cluster) guard(t testing.TB, role string) {
	t.Helper()
	path := filepath.Join(c.data(), "pg_hba.conf")
	rules, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path,
		append([]byte("local all "+role+" scram-sha-256\n"), rules...), 0)) // the file exists
	c.exec(t, "SELECT pg_reload_conf()")
	eventually(t, "the server must ask for the password", func() bool {
		conn, err := pgx.Connect(context.Background(), "host="+c.dir+" dbname=postgres user="+role)
		if err != nil {
			return true
		}
		_ = conn.Close(context.Background())
		return false
	})
}

// lock locks a table until the test calls the returned function.
func (c *cluster) lock(t testing.TB, table string) (unlock func()) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, c.dsn(""))
	require.NoError(t, err)
	_, err = conn.Exec(ctx, "BEGIN; LOCK TABLE "+table)
	require.NoError(t, err)
	return func() {
		_, err := conn.Exec(ctx, "COMMIT") // the server ends the lock before it answers
		require.NoError(t, err)
		require.NoError(t, conn.Close(ctx))
	}
}
