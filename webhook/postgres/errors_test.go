//go:build unix

package postgres_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

const secret = "s3cr#et/p@ss"

// TestOpenSaysWhatIsWrong opens databases that cannot be opened. No error contains the password.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	c := newCluster(t)
	c.exec(t,
		"CREATE ROLE guarded LOGIN PASSWORD 'right'",
		"CREATE ROLE reader LOGIN",
		"CREATE ROLE single LOGIN CONNECTION LIMIT 0",
		"GRANT CREATE ON SCHEMA public TO single",
	)
	c.guard(t, "guarded")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close()) // nothing listens on the port now
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	for name, open := range map[string]struct {
		dsn  string
		is   error
		says []string
	}{
		"no such host": {"host=host.invalid user=u password=" + secret, postgres.ErrUnavailable,
			[]string{"host.invalid"}},
		"closed port": {"host=127.0.0.1 port=" + port + " user=u dbname=d password=" + secret,
			postgres.ErrUnavailable, []string{port, "refused"}},
		"no such socket": {"host=/nonexistent user=u password=" + secret, postgres.ErrUnavailable,
			[]string{"/nonexistent"}},
		"wrong password": {"host=" + c.dir + " user=guarded dbname=postgres password=" + secret,
			postgres.ErrLogin, []string{`"guarded"`}},
		"no such role": {"host=" + c.dir + " user=nobody dbname=postgres password=" + secret,
			postgres.ErrLogin, []string{`"nobody"`}},
		"no such database": {"host=" + c.dir + " user=postgres dbname=nothing password=" + secret,
			postgres.ErrNoDatabase, []string{`"nothing"`}},
		"no permission to create": {"host=" + c.dir + " user=reader dbname=postgres password=" + secret,
			postgres.ErrPermission, []string{"schema public"}},
		"no such schema": {c.dsn("search_path=missing"), postgres.ErrNoSchema, []string{"schema"}},
		"no connection": {"host=" + c.dir + " user=single dbname=postgres",
			postgres.ErrTooManyConnections, []string{`"single"`}},
		"a primary instead of a standby": {c.dsn("target_session_attrs=standby"), postgres.ErrUnavailable,
			[]string{"standby"}},
		"an invalid URL": {"postgres://user:" + secret + "@host", nil,
			[]string{"connection string", "percent-encoded"}},
		"a bad port": {"postgres://user:secret@host:port/db?password=" + secret, nil,
			[]string{"invalid port"}},
		"a bad number": {"host=h connect_timeout=soon password=" + secret, nil,
			[]string{"invalid connect_timeout"}},
		"not keyword=value": {"host password=" + secret, nil, []string{"keyword/value"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := postgres.Open(t.Context(), open.dsn, postgres.Config{})
			require.Error(t, err)
			if open.is != nil {
				require.ErrorIs(t, err, open.is)
			}
			for _, word := range open.says {
				assert.ErrorContains(t, err, word)
			}
			assert.NotContains(t, err.Error(), "secret")
			assert.NotContains(t, err.Error(), "s3cr")
			assert.NotContains(t, err.Error(), "p@ss")
		})
	}
}

// TestErrorsOfAStore makes the calls of an open store fail in several ways, one after the other.
func TestErrorsOfAStore(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	c := newCluster(t)
	c.exec(t, "CREATE ROLE app LOGIN", "GRANT CREATE ON SCHEMA public TO app")
	s := open(t, "host="+c.dir+" user=app dbname=postgres lock_timeout=50ms")
	emit := func(id string) error {
		_, err := s.Enqueue(ctx, time.Now(), newEvents(id), nil)
		return err
	}
	require.NoError(t, emit("evt_1"))

	c.exec(t, "REVOKE INSERT ON webhooks_events FROM app")
	require.ErrorIs(t, emit("evt_2"), postgres.ErrPermission)
	c.exec(t, "GRANT INSERT ON webhooks_events TO app")
	require.NoError(t, emit("evt_2"))

	c.exec(t, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
	eventually(t, "the server must be read-only", func() bool { return emit("evt_3") != nil })
	require.ErrorIs(t, emit("evt_3"), postgres.ErrReadOnly)
	c.exec(t, "SET default_transaction_read_only = off",
		"ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
	eventually(t, "the server must be writable again", func() bool { return emit("evt_3") == nil })

	locked := c.lock(t, "webhooks_events")
	require.ErrorIs(t, emit("evt_4"), postgres.ErrTimeout)
	locked()
	require.NoError(t, emit("evt_4"))

	c.stop(t, stopFast)
	require.ErrorIs(t, emit("evt_5"), postgres.ErrUnavailable)
	require.ErrorIs(t, s.Listen(ctx, func() {}), postgres.ErrUnavailable)
	c.start(t)
	require.NoError(t, emit("evt_5"))

	all, err := s.EventPayload(context.Background(), "", "evt_5")
	require.NoError(t, err)
	require.NotEmpty(t, all)
}
