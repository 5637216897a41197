package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

// limitedChild writes until the system refuses to let a file grow.
func limitedChild(path string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, path, sqlite.Config{})
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE,
		&syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}); err != nil {
		return err
	}
	for i := range 1000 {
		e := webhook.NewEvent{ID: fmt.Sprint("evt_", i), Type: "a.b", Payload: make([]byte, 10_000)}
		_, err := s.Enqueue(ctx, time.Now(), []webhook.NewEvent{e}, nil)
		switch {
		case err == nil:
		case errors.Is(err, sqlite.ErrIO) && !errors.Is(err, sqlite.ErrCorrupt):
			return nil
		default:
			return err
		}
	}
	return errors.New("nothing failed")
}

func TestAnIOErrorIsNoDamage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), crashModeEnv+"=limited", crashPathEnv+"="+path)
	said, err := child.CombinedOutput()
	require.NoError(t, err, "%s", said)
	s := open(t, path)
	_, err = s.EventPayload(t.Context(), "", "evt_0")
	require.NoError(t, err, "what was stored before the error must still be readable")
}
