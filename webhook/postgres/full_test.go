//go:build unix

package postgres_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

// smallDisk is a file system of a few megabytes. Only root can mount one.
type smallDisk struct{ dir string }

func newSmallDisk(t testing.TB, dir, size string) smallDisk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to make a small file system")
	}
	require.NoError(t, os.Mkdir(dir, 0o700))
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs",
		dir).CombinedOutput(); err != nil {
		t.Skipf("needs to mount a small file system: %v: %s", err, out)
	}
	t.Cleanup(func() { assert.NoError(t, exec.Command("umount", "-l", dir).Run()) })
	giveToServer(t, dir)
	return smallDisk{dir}
}

// fill fills the disk, and then frees so many bytes again.
func (d smallDisk) fill(t testing.TB, back int64) {
	t.Helper()
	ballast, err := os.Create(filepath.Join(d.dir, "ballast"))
	require.NoError(t, err)
	var taken int64
	for megabyte := make([]byte, 1<<20); err == nil; {
		var n int
		n, err = ballast.Write(megabyte)
		taken += int64(n)
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, ballast.Truncate(max(taken-back, 0)))
	require.NoError(t, ballast.Close())
}

func (d smallDisk) empty(t testing.TB) {
	t.Helper()
	require.NoError(t, os.Remove(filepath.Join(d.dir, "ballast")))
}

// TestTablesHaveNoRoom fills the disk of the tables, but not that of the write-ahead log. The
// server keeps running and refuses writes.
func TestTablesHaveNoRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	c := newCluster(t)
	disk := newSmallDisk(t, filepath.Join(c.dir, "small"), "64m")
	c.exec(t, "CREATE TABLESPACE small LOCATION '"+disk.dir+"'",
		"ALTER ROLE postgres SET default_tablespace = small")
	l := startLoad(t, c.dsn(""), c.dsn(""))
	const outages = 2
	for range outages {
		l.progress()
		refused := len(l.refusals())
		disk.fill(t, 0)
		eventually(t, "emits must be refused", func() bool { return len(l.refusals()) > refused+20 })
		disk.empty(t)
	}
	l.progress()
	l.finish()
	// An event that still fits is stored, and ends the outage for a moment, but it is logged once.
	l.saidOnce(outages)
	for _, err := range l.refusals() {
		assert.ErrorIs(t, err, postgres.ErrFull)
	}
}

// TestLogHasNoRoom fills the disk of the server's write-ahead log, which makes the server crash. It
// restarts by itself if it can free enough space by removing old log files.
func TestLogHasNoRoom(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	dir := clusterDir(t)
	disk := newSmallDisk(t, filepath.Join(dir, "wal"), "10m")
	c := initCluster(t, dir, filepath.Join(disk.dir, "pg_wal"), "max_wal_size = '1GB'")
	l := startLoad(t, c.dsn(""), c.dsn(""))
	l.progress()
	disk.fill(t, 0)
	eventually(t, "the server must crash", func() bool { return c.logged(t, "PANIC") })
	eventually(t, "emits must be refused", func() bool { return len(l.refusals()) > 0 })
	disk.empty(t)
	eventually(t, "the server must be back", func() bool {
		select {
		case <-c.exited: // it could not restart by itself
			c.start(t)
			return true
		default:
		}
		conn, err := pgx.Connect(t.Context(), c.dsn(""))
		return err == nil && conn.Close(t.Context()) == nil
	})
	l.progress()
	l.finish()
	l.saidOnce(3)
	for _, err := range l.refusals() {
		assert.True(t, errors.Is(err, postgres.ErrFull) || errors.Is(err, postgres.ErrUnavailable), "%v",
			err)
	}
}
