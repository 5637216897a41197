package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

// TestFileIsReplaced takes the file away from under a store, which must not report
// as stored what nobody will find.
func TestFileIsReplaced(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, take := range map[string]func(path string) error{
		"removed": os.Remove,
		"moved":   func(path string) error { return os.Rename(path, path+".away") },
		"replaced": func(path string) error {
			return errors.Join(os.WriteFile(path+".new", nil, 0o600), os.Rename(path+".new", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "webhooks.db")
			s := open(t, path)
			require.NoError(t, s.CreateWebhook(ctx, newWebhook(), webhook.Quota{}))
			emit := func(id string) error {
				_, err := s.Enqueue(ctx, time.Now(), []webhook.NewEvent{{ID: id, Type: "a.b", Payload: []byte(`{}`)}}, nil)
				return err
			}
			require.NoError(t, emit("evt_1"))
			require.NoError(t, take(path))
			require.ErrorIs(t, emit("evt_2"), sqlite.ErrReplaced)
			require.ErrorContains(t, emit("evt_3"), path)
			_, err := s.Claim(ctx, time.Now(), webhook.ClaimRequest{Until: time.Now(), Limit: 1, PerEndpoint: 1})
			require.ErrorIs(t, err, sqlite.ErrReplaced)
			if name == "moved" {
				require.NoError(t, os.Rename(path+".away", path))
				require.NoError(t, emit("evt_4"), "the file is back")
			}
		})
	}
}
