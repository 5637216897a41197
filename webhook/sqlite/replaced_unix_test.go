//go:build unix

package sqlite_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

// A file that was deleted or replaced still accepts writes through an open handle. The store must
// refuse them, because they would be lost.
func TestTheFileIsReplaced(t *testing.T) {
	t.Parallel()
	move := func(t *testing.T, path string) { require.NoError(t, os.Rename(path, path+".old")) }
	for name, replace := range map[string]func(t *testing.T, path string){
		"removed": func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) },
		"moved":   move,
		"another one in its place": func(t *testing.T, path string) {
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			move(t, path)
			require.NoError(t, os.WriteFile(path, content, 0o600))
		},
		"all of it removed": func(t *testing.T, path string) {
			for _, suffix := range []string{"", "-wal", "-shm"} {
				require.NoError(t, os.Remove(path+suffix))
			}
		},
		"its log removed": func(t *testing.T, path string) { require.NoError(t, os.Remove(path+"-wal")) },
		"its log replaced": func(t *testing.T, path string) {
			move(t, path+"-wal")
			require.NoError(t, os.WriteFile(path+"-wal", nil, 0o600))
		},
		"replaced by another store": func(t *testing.T, path string) {
			require.NoError(t, os.RemoveAll(path))
			require.NoError(t, os.RemoveAll(path+"-wal"))
			require.NoError(t, os.RemoveAll(path+"-shm"))
			other, err := sqlite.Open(t.Context(), path, sqlite.Config{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, other.Close()) })
		},
	} {
		test := func(t *testing.T, path, opened string) {
			t.Parallel()
			ctx := t.Context()
			made(t, path)
			s, err := sqlite.Open(ctx, opened, sqlite.Config{})
			require.NoError(t, err)
			t.Cleanup(func() { _ = s.Close() }) // it may fail, because its files are gone
			sub := sqltest.NewSubscription()
			require.NoError(t, s.CreateSubscription(ctx, sub, webhook.Quota{}))

			replace(t, path)
			e := webhook.NewEvent{ID: "evt_1", Type: "object.created", Payload: []byte(`{}`)}
			_, err = s.Enqueue(ctx, time.Now(), []webhook.NewEvent{e}, nil)
			require.ErrorIs(t, err, sqlite.ErrReplaced, "no event is accepted")
			require.ErrorIs(t, err, webhook.ErrUnavailable)
			_, err = s.Claim(ctx, time.Now(),
				webhook.ClaimRequest{Until: time.Now().Add(time.Minute), Limit: 1, PerEndpoint: 1})
			require.ErrorIs(t, err, sqlite.ErrReplaced, "nothing is claimed")
			_, err = s.Subscription(ctx, sub.OrganizationID, sub.ID)
			require.ErrorIs(t, err, sqlite.ErrReplaced, "no deleted data is returned")
			if name == "moved" {
				require.NoError(t, os.Rename(path+".old", path))
				_, err = s.Enqueue(ctx, time.Now(), []webhook.NewEvent{e}, nil)
				require.NoError(t, err, "the file is back")
			}
		}
		if testing.Short() && name != "moved" {
			continue // together they take a part of a second of CPU time
		}
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "webhooks.db")
			test(t, path, path)
		})
		t.Run(name+" behind a link", func(t *testing.T) {
			if testing.Short() {
				t.Skip("each file that is opened takes a few hundredths of a second of CPU time")
			}
			folder := t.TempDir()
			link := filepath.Join(folder, "link.db")
			require.NoError(t, os.Symlink("webhooks.db", link))
			test(t, filepath.Join(folder, "webhooks.db"), link)
		})
	}
}

// A link that leads to another file makes a file of another name the database, for all that open it.
func TestTheLinkIsReplaced(t *testing.T) {
	if testing.Short() {
		t.Skip("each file that is opened takes a few hundredths of a second of CPU time")
	}
	t.Parallel()
	ctx, folder := t.Context(), t.TempDir()
	link := filepath.Join(folder, "link.db")
	require.NoError(t, os.Symlink("first.db", link))
	s, err := sqlite.Open(ctx, link, sqlite.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, os.WriteFile(filepath.Join(folder, "second.db"), nil, 0o600))
	require.NoError(t, os.Remove(link))
	require.NoError(t, os.Symlink("second.db", link))
	require.ErrorIs(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}),
		sqlite.ErrReplaced)
}

// The write-ahead log stays while a Store is open, even if another handle has written it back to
// the database and closed.
func TestTheLogStays(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	ctx, path := t.Context(), made(t, filepath.Join(t.TempDir(), "webhooks.db"))
	s, err := sqlite.Open(ctx, path, sqlite.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	for range 3 {
		other, err := sqlite.Open(ctx, path, sqlite.Config{})
		require.NoError(t, err)
		require.NoError(t, other.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
		require.NoError(t, other.Close())
		require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	}
}

// An error of the disk must not be reported as a damaged database.
func TestUnreadableDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	if path := os.Getenv(childEnv); path != "" {
		unreadableDisk(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "webhooks.db")
	out, err := child("TestUnreadableDisk", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// unreadableDisk replaces the descriptor of the open database by one of a directory, which cannot
// be read as a file. It runs in a process of its own, so that it does not touch files of other
// tests.
func unreadableDisk(t *testing.T, path string) {
	t.Helper()
	ctx := t.Context()
	s, err := sqlite.Open(ctx, path, sqlite.Config{})
	require.NoError(t, err)
	var ids []string
	for range 60 { // more than SQLite keeps in memory
		sub := sqltest.NewSubscription()
		sub.Channels[0].Configs = []byte(`{"url":"https://example.com","filler":"` + strings.Repeat("x",
			100_000) + `"}`)
		require.NoError(t, s.CreateSubscription(ctx, sub, webhook.Quota{}))
		ids = append(ids, sub.ID)
	}
	require.NoError(t, s.Close())
	s, err = sqlite.Open(ctx, path, sqlite.Config{Readers: 1})
	require.NoError(t, err)
	read := func() error {
		for _, id := range ids {
			if _, err := s.Subscription(ctx, "", id); err != nil {
				return err
			}
		}
		return nil
	}
	require.NoError(t, read())

	directory, err := os.Open(filepath.Dir(path))
	require.NoError(t, err)
	defer func() { _ = directory.Close() }()
	file, err := os.Stat(path)
	require.NoError(t, err)
	replaced := 0
	for fd := 3; fd < 256; fd++ {
		open, err := os.Stat(fmt.Sprintf("/dev/fd/%d", fd))
		if err == nil && os.SameFile(open, file) {
			require.NoError(t, syscall.Dup2(int(directory.Fd()), fd))
			replaced++
		}
	}
	require.Positive(t, replaced)
	err = read()
	require.ErrorIs(t, err, webhook.ErrUnavailable, "trying again may help")
	assert.True(t, errors.Is(err, sqlite.ErrIO) ||
		strings.Contains(err.Error(), "or its disk cannot be read"),
		"it does not say that the content is damaged and no more: %v", err)
}

// A process whose log was removed while others use a new one must not write the pages of the old log
// over theirs, nor remove their log.
func TestARemovedLogHarmsNobody(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	if path := os.Getenv(childEnv); path != "" {
		createAndDie(t, path)
		return
	}
	for name, suffixes := range map[string][]string{
		"log": {"-wal"}, "index": {"-shm"}, "log and index": {"-wal", "-shm"},
	} {
		t.Run(name, func(t *testing.T) {
			if len(suffixes) == 1 {
				sqltest.OnlyThorough(t)
			}
			t.Parallel()
			ctx, path := t.Context(), made(t, filepath.Join(t.TempDir(), "webhooks.db"))
			s, err := sqlite.Open(ctx, path, sqlite.Config{})
			require.NoError(t, err)
			t.Cleanup(func() { _ = s.Close() })
			createLarge(t, s)
			require.NoError(t, s.Checkpoint())
			for _, suffix := range suffixes {
				require.NoError(t, os.Remove(path+suffix))
			}
			out, err := child("TestARemovedLogHarmsNobody", path).CombinedOutput()
			require.ErrorContains(t, err, "killed", "%s", out)

			for range 10 {
				_, err = s.Deliveries(ctx, webhook.DeliveryQuery{})
				require.ErrorIs(t, err, sqlite.ErrReplaced)
				time.Sleep(5 * time.Millisecond) // the checkpointer may run
			}
			require.ErrorIs(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}),
				sqlite.ErrReplaced, "nothing is accepted")
			require.ErrorIs(t, s.Close(), sqlite.ErrReplaced, "and nothing written back")

			cmd := child("TestARemovedLogHarmsNobody", path)
			cmd.Env = append(cmd.Env, "WEBHOOKS_SQLITE_VERIFY=1")
			out, err = cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
}

const largeSubscriptions = 30 // of 25 pages

// createLarge writes more pages than a checkpoint waits for.
func createLarge(t *testing.T, s *sqlite.Store) {
	t.Helper()
	for range largeSubscriptions {
		sub := sqltest.NewSubscription()
		sub.Channels[0].Configs = []byte(`{"url":"https://example.com","filler":"` +
			strings.Repeat("x", 100_000) + `"}`)
		require.NoError(t, s.CreateSubscription(t.Context(), sub, webhook.Quota{}))
	}
}

// createAndDie is the other process: it uses the new log, and is killed. Later it verifies what is in
// the file.
func createAndDie(t *testing.T, path string) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, sqlite.Config{})
	require.NoError(t, err)
	if os.Getenv("WEBHOOKS_SQLITE_VERIFY") == "" {
		createLarge(t, s)
		require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGKILL))
	}
	var subscriptions int
	var problems string
	require.NoError(t, s.DB().QueryRow("SELECT count(*) FROM webhooks_webhooks").Scan(&subscriptions))
	assert.Equal(t, 2*largeSubscriptions, subscriptions)
	require.NoError(t, s.DB().QueryRow("PRAGMA integrity_check").Scan(&problems))
	assert.Equal(t, "ok", problems)
	require.NoError(t, s.Close())
}

// Open writes the part of the log once more that is in use, and not what the file has been before.
func TestTheLogInUse(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	ctx, path := t.Context(), made(t, filepath.Join(t.TempDir(), "webhooks.db"))
	s, err := sqlite.Open(ctx, path, sqlite.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	createLarge(t, s)
	require.NoError(t, s.Checkpoint())
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	var frames, page int64
	require.NoError(t, s.DB().QueryRow("PRAGMA wal_checkpoint(NOOP)").Scan(new(int), &frames, new(int)))
	require.NoError(t, s.DB().QueryRow("PRAGMA page_size").Scan(&page))
	written, err := sqlite.Written(path + "-wal")
	require.NoError(t, err)
	require.Positive(t, frames)
	assert.Equal(t, 32+frames*(24+page), written)
	file, err := os.Stat(path + "-wal")
	require.NoError(t, err)
	assert.Greater(t, file.Size(), 10*written)
}

// A process that cannot make durable what is in the log must not accept events behind it.
func TestOpenWhileLocked(t *testing.T) {
	if testing.Short() {
		t.Skip("each file that is opened takes a few hundredths of a second of CPU time")
	}
	t.Parallel()
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "webhooks.db")
	s, err := sqlite.Open(ctx, path, sqlite.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	tx, err := s.DB().BeginTx(ctx, nil)
	require.NoError(t, err)
	_, err = sqlite.Open(ctx, path, sqlite.Config{BusyTimeout: time.Millisecond})
	require.ErrorIs(t, err, sqlite.ErrLocked)
	require.NoError(t, tx.Rollback())
	other, err := sqlite.Open(ctx, path, sqlite.Config{BusyTimeout: time.Millisecond})
	require.NoError(t, err)
	require.NoError(t, other.Close())
}

// TestARestartOfARemovedLogHarmsNobody removes the log while the Store waits for a transaction, to
// start the log again. Another process may use the file with a new log when the transaction ends.
func TestARestartOfARemovedLogHarmsNobody(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	ctx, path := t.Context(), made(t, filepath.Join(t.TempDir(), "webhooks.db"))
	s, err := sqlite.Open(ctx, path, sqlite.Config{BusyTimeout: 10 * time.Minute})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=wal_autocheckpoint(0)&_pragma=busy_timeout(60000)")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	conn, err := db.Conn(ctx)
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close()) }()
	run := func(query string) {
		t.Helper()
		_, err := conn.ExecContext(ctx, query)
		require.NoError(t, err)
	}
	run("CREATE TABLE own (data)")
	run("BEGIN IMMEDIATE; INSERT INTO own VALUES (zeroblob(20000000)); COMMIT; BEGIN IMMEDIATE")
	require.Eventually(t, s.Restarting, time.Minute, time.Millisecond)
	time.Sleep(50 * time.Millisecond)

	require.NoError(t, os.Remove(path+"-wal"))
	require.NoError(t, os.Remove(path+"-shm"))
	before := contents(t, path)
	run("INSERT INTO own VALUES (randomblob(4000000)); COMMIT")
	require.Eventually(t, func() bool { return !s.Restarting() }, time.Minute, time.Millisecond)
	assert.True(t, bytes.Equal(before, contents(t, path)), "the log that was removed must not be copied")
}

// contents reads a file in another process: a file that this one closes loses its locks.
func contents(t *testing.T, path string) []byte {
	t.Helper()
	data, err := exec.CommandContext(t.Context(), "cat", path).Output()
	require.NoError(t, err)
	return data
}
