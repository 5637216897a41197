//go:build unix

package sqlite_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

func TestOpenWithoutPermission(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a tenth of a second of CPU time")
	}
	t.Parallel()
	if path := os.Getenv(childEnv); path != "" {
		_, err := sqlite.Open(t.Context(), path, sqlite.Config{})
		require.ErrorIs(t, err, sqlite.ErrNotWritable)
		require.ErrorContains(t, err, path)
		return
	}
	dir := filepath.Join(t.TempDir(), "locked")
	require.NoError(t, os.Mkdir(dir, 0o555))
	cmd := child("TestOpenWithoutPermission", filepath.Join(dir, "x.db"))
	if os.Getuid() == 0 { // permissions do not apply to root: another user runs the child
		for at := dir; at != "/"; at = filepath.Dir(at) {
			info, err := os.Stat(at)
			require.NoError(t, err)
			if info.Mode().Perm()&0o005 != 0o005 {
				require.NoError(t, os.Chmod(at, info.Mode().Perm()|0o055))
			}
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		cmd.Dir = "/"
		readable := filepath.Join(filepath.Dir(dir), "binary")
		// Another process writes the copy: a child that a parallel test starts meanwhile would
		// inherit the open file, and a file that is open for writing cannot be run.
		require.NoError(t, exec.CommandContext(t.Context(), "cp", os.Args[0], readable).Run())
		cmd.Path = readable
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
