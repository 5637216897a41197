package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
)

// Config configures a Store. The zero value works.
type Config struct {
	// TablePrefix begins the names of the tables: see [sqlstore.Config].
	// Defaults to [sqlstore.DefaultTablePrefix].
	TablePrefix string
	// NoMigrate leaves the schema to the caller: see [sqlstore.Config].
	// Defaults to migrating.
	NoMigrate bool
	// Sealer encrypts the configs of channels: see [sqlstore.Config]. Nil stores
	// them in clear.
	Sealer sqlstore.Sealer
	// MaxConns is the largest number of connections of a Store that Open makes; a Dispatcher needs 2
	// at times. Defaults to pgxpool's default, which is 4 or the number of processors if that is more.
	// A negative number is an error. For New it must be 0, because the pool has its own setting.
	MaxConns int
}

// Store is a [webhook.Store] in PostgreSQL. Make one with [Open] or [New].
type Store struct {
	*sqlstore.Store
	pool    *pgxpool.Pool
	ownPool bool
	db      *sql.DB
	channel string // a query for its name
	// mapError is that of the embedded Store.
	mapError       func(error) error
	listenPatience listenPatience
}

// Open connects to the database that the connection string names, and brings
// its tables to the newest schema. The tables are in the first schema of the
// connections' search_path, which the connection string can set. If it finds tables of the same
// names in another schema only, Open returns an error.
//
// The error says what is wrong: see ErrUnavailable, ErrLogin, ErrNoDatabase, ErrNoSchema,
// ErrPermission, ErrPooler and [sqlstore.NewerSchemaError]. No error contains the password. An
// empty connection string is an error.
func Open(ctx context.Context, connString string, config Config) (*Store, error) {
	parsed, err := poolConfig(connString, config)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, parsed)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", mapError(err))
	}
	s, err := newStore(ctx, pool, config)
	if err != nil {
		pool.Close()
		return nil, err
	}
	s.ownPool = true
	return s, nil
}

// New returns a Store on the caller's pool, and so with the pool's tracer, dialer and expiring
// passwords. The pool may serve other purposes as well, because the store leaves nothing on its
// connections. New brings the tables to the newest schema, as Open does. The pool stays open when
// the Store is closed.
//
// If the server turns out to be read-only, as after a failover, the store resets the
// pool: [pgxpool.Pool.Reset]. [Store.Listen] takes one connection out of the pool.
func New(ctx context.Context, pool *pgxpool.Pool, config Config) (*Store, error) {
	if pool == nil {
		return nil, errors.New("postgres: the pool is nil: make one with pgxpool.New, or use Open")
	}
	if config.MaxConns != 0 {
		return nil, errors.New("postgres: Config.MaxConns is for Open: " +
			"set MaxConns of the pool's configuration instead")
	}
	return newStore(ctx, pool, config)
}

func newStore(ctx context.Context, pool *pgxpool.Pool, config Config) (*Store, error) {
	channel, err := sqlstore.NotifyChannelSQL(config.TablePrefix)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector{stdlib.GetPoolConnector(pool)})
	db.SetMaxIdleConns(0) // the pool has them
	mapped := storeError(pool)
	prefix := cmp.Or(config.TablePrefix, sqlstore.DefaultTablePrefix)
	if err := checkSearchPath(ctx, db, prefix); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("postgres: opening the store: %w", mapped(err))
	}
	store, err := sqlstore.New(ctx, db, sqlstore.PostgreSQL(), sqlstore.Config{
		TablePrefix: config.TablePrefix, NoMigrate: config.NoMigrate, Sealer: config.Sealer,
		MapError: mapped, Connections: int(pool.Config().MaxConns),
	})
	if err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("postgres: opening the store: %w", err) // pgx omits the password
	}
	return &Store{
		Store: store, pool: pool, db: db, channel: channel, mapError: mapped,
		listenPatience: listenPatience{silence: defaultListenPatience, answer: defaultListenPatience},
	}, nil
}

// checkSearchPath returns an error if the search_path finds tables that are not in its first schema.
// They are those of another service, or new ones would hide them at the next upgrade.
func checkSearchPath(ctx context.Context, db *sql.DB, prefix string) error {
	var first, found string
	err := db.QueryRowContext(ctx, `SELECT current_schema(), n.nspname FROM pg_class c
		JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = to_regclass('`+prefix+`migrations') AND n.nspname <> current_schema()`).
		Scan(&first, &found)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("the first schema of the search_path is %q, but the tables %s… that it finds are in "+
		"%q: set search_path=%s to use those, or search_path=%s for tables of its own", first, prefix,
		found, found, first)
}

// Pool returns the pool of the Store, for example for the caller's own transactions. Its
// connections have the settings of the connection string. Do not close the pool of an opened Store:
// [Store.Close] does.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Close closes the connections of an opened Store, and waits for those in use. The
// pool that New was given stays open.
func (s *Store) Close() error {
	err := errors.Join(s.Store.Close(), s.db.Close())
	if s.ownPool {
		s.pool.Close()
	}
	return err
}

// Capabilities implements [webhook.Store].
func (s *Store) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Notifications = s
	return c
}

// Tx returns a transaction on the store's database, with its search_path, in the form that
// [sqlstore.Store.EnqueueTx] and a Dispatcher's EmitTx take.
func Tx(tx pgx.Tx) webhook.Tx {
	if tx == nil {
		return sqlstore.TxOf(sqlstore.PostgreSQL(), nil)
	}
	return sqlstore.TxOf(sqlstore.PostgreSQL(), pgxTx{tx})
}

// SQLTx is [Tx] for a transaction of database/sql.
func SQLTx(tx *sql.Tx) webhook.Tx { return sqlstore.Tx(sqlstore.PostgreSQL(), tx) }

// pgxTx is a [sqlstore.Querier] of pgx.
type pgxTx struct{ tx pgx.Tx }

func (t pgxTx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	tag, err := t.tx.Exec(ctx, query, args...)
	return tag.RowsAffected(), err
}

func (t pgxTx) Query(ctx context.Context, query string, args ...any) (sqlstore.Rows, error) {
	rows, err := t.tx.Query(ctx, query, args...)
	return pgxRows{rows}, err
}

type pgxRows struct{ pgx.Rows }

func (r pgxRows) Close() error {
	r.Rows.Close()
	return r.Err()
}
