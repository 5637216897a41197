package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// DefaultTablePrefix begins the names of the tables unless the Config says
// otherwise.
const DefaultTablePrefix = "webhooks_"

// Config configures a Store. The zero value works.
type Config struct {
	// TablePrefix begins the names of all tables and indexes: a lower-case
	// letter or underscore, then up to 30 of these or digits. Stores with
	// different prefixes share a database and nothing else.
	// Defaults to DefaultTablePrefix.
	TablePrefix string
	// Reader is another handle for the same database, for queries that write nothing. Defaults to the
	// handle that New is given.
	Reader *sql.DB
	// Connections is how many connections these queries have. Those of an organization that may take
	// long, such as its statistics, use half of them at most, and the others wait. Defaults to what
	// SetMaxOpenConns of the handle says, and to 4 if that sets no bound.
	Connections int
	// NoMigrate leaves the schema to the caller, with [Migrations]. New then returns an error if the
	// schema is not the newest. Defaults to migrating.
	NoMigrate bool
	// Sealer encrypts the configs of channels before they are stored. Nil stores them in clear: a
	// person who reads the database, or a backup of it, can read the header values, tokens and signing
	// secrets in them. The package comment says how to set a Sealer later, and how to replace its key.
	Sealer Sealer
	// MapError returns the error to return instead of a driver's error, so that callers can recognise
	// a full disk, for example, without knowing the driver. It is called for every error of the
	// database, also before the store runs a transaction again that collided with another one. Nil
	// returns errors unchanged.
	MapError func(error) error
	// Guard is called before each query, and before and after each transaction. If it returns an
	// error, the method that runs the query or the transaction returns that error, even if the
	// transaction has been committed. Return an error that matches [webhook.ErrUnavailable], after
	// which callers do not rely on what was stored. Nil calls nothing.
	Guard func() error
	// Begin is called, with SQLite only, to begin a transaction that writes. It calls begin, and again
	// while another process holds the write lock, and returns its last error. Use it if the handle's
	// busy timeout is 0. Nil calls begin once.
	Begin func(ctx context.Context, begin func() error) error
}

// Store is a [webhook.Store] in a SQL database. Make one with [New]. It is safe for concurrent use,
// and any number of processes can have one on the same tables.
type Store struct {
	x        expander
	writer   writer
	read     Querier // each statement on its own
	mapError func(error) error
	guard    func() error
	sealer   Sealer // nil: configs are stored in clear
	scans    *scans

	subscriptions subscriptionStatements
	routing       routeStatements
	enqueue       enqueueStatements
	fanOut        fanOutStatements
	claim         claimStatements
	expired       expiredStatements
	parks         parkStatements
	starting      startStatements
	leasing       leaseStatements
	endpoints     endpointStatements
	rates         rateStatements
	lines         lineStatements
	settle        settleStatements
	history       historyStatements
	prune         pruneStatements
	housekeeping  housekeepingStatements
	reseal        resealStatements
	requests      requestStatements
	schema        schemaStatements
	clock         string // empty: this machine's
	repair        repairStatements
	totals        totalsStatements
	backlog       backlogStatements
	tail          tailStatements
	results       resultStatements
	positions     positionStatements
	replays       replayStatements
	apiKeys       apiKeyStatements
	diagnosis     diagnosisStatements
	processes     processStatements

	routes  routeCache
	parking parking
	turns   turns  // of claims
	starts  starts // of claims

	skipped skippedIDs

	pruneProgress pruneProgress
	resultsPruned atomic.Int64 // the first id of results that Prune has not removed

	// tailed is the largest id that readers could read up to. What was safe once stays so, until an
	// older state of the database is restored.
	tailed atomic.Int64

	leases leases

	blocksMu sync.Mutex
	blocks   map[block]struct{} // known to be stored
}

var _ webhook.Store = (*Store)(nil)

// New returns a Store over the database, after bringing its tables to the
// newest schema. The database stays open when the Store is closed.
//
// It returns an error if config.TablePrefix is invalid, a [*NewerSchemaError] if a newer version of
// this package has changed the tables, and another error if config.NoMigrate is set and the schema
// is older than this package needs.
func New(ctx context.Context, db *sql.DB, dialect Dialect, config Config) (*Store, error) {
	x, err := newExpander(dialect, config.TablePrefix)
	if err != nil {
		return nil, err
	}
	s := x.store(db, config)
	if err := s.migrate(ctx, schemaFiles, !config.NoMigrate); err != nil {
		_ = s.writer.close()
		return nil, s.mapped(err)
	}
	return s, nil
}

// defaultConnections is how many connections a pool has by default.
const defaultConnections = 4

// store returns a Store over the database, whatever its tables are.
func (x expander) store(db *sql.DB, config Config) *Store {
	s := &Store{
		x: x, writer: x.dialect.newWriter(db, config), read: sqlTx{db},
		guard: config.Guard, mapError: config.MapError, sealer: config.Sealer,
		subscriptions: newSubscriptionStatements(x),
		routing:       newRouteStatements(x),
		enqueue:       newEnqueueStatements(x),
		fanOut:        newFanOutStatements(x),
		claim:         newClaimStatements(x),
		expired:       newExpiredStatements(x),
		parks:         newParkStatements(x),
		starting:      newStartStatements(x),
		leasing:       newLeaseStatements(x),
		endpoints:     newEndpointStatements(x),
		rates:         newRateStatements(x),
		lines:         newLineStatements(x),
		settle:        newSettleStatements(x),
		history:       newHistoryStatements(x),
		prune:         newPruneStatements(x),
		housekeeping:  newHousekeepingStatements(x),
		reseal:        newResealStatements(x),
		repair:        newRepairStatements(x),
		totals:        newTotalsStatements(x),
		backlog:       newBacklogStatements(x),
		tail:          newTailStatements(x),
		results:       newResultStatements(x),
		positions:     newPositionStatements(x),
		replays:       newReplayStatements(x),
		apiKeys:       newAPIKeyStatements(x),
		diagnosis:     newDiagnosisStatements(x),
		processes:     newProcessStatements(x),
		requests:      newRequestStatements(x),
		schema:        newSchemaStatements(x),
		clock:         x.sql(x.dialect.clockSQL()),
		blocks:        make(map[block]struct{}),
	}
	if config.Reader != nil {
		db, s.read = config.Reader, sqlTx{config.Reader}
	}
	s.scans = newScans(cmp.Or(config.Connections, db.Stats().MaxOpenConnections, defaultConnections))
	s.read = guardedTx{s.read, s.callGuard}
	return s
}

var prefixPattern = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,30}$`)

func newExpander(dialect Dialect, prefix string) (expander, error) {
	if prefix == "" {
		prefix = DefaultTablePrefix
	}
	if !prefixPattern.MatchString(prefix) {
		return expander{},
			fmt.Errorf("sqlstore: a table prefix is a lower-case letter or underscore and up to 30 of "+
				"these or digits, not %q", prefix)
	}
	return expander{dialect, prefix}, nil
}

// Close waits for the current transaction and releases the Store's own connection. The database
// that [New] was given stays open. Do not use the Store afterwards.
func (s *Store) Close() error { return s.mapped(s.writer.close()) }

// Capabilities implements [webhook.Store].
func (s *Store) Capabilities() webhook.Capabilities {
	return webhook.Capabilities{Transactions: s, Idempotency: s, Tail: s, Replays: s, APIKeys: s,
		Ordering: s, Diagnostics: s, Backlog: s, Processes: s}
}

// Ping implements [webhook.Store]. It reads the version of the tables.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.schemaVersion(ctx, s.read)
	return s.mapped(err)
}

// write runs fn in a transaction, and again in a new one if it collided with another transaction.
// Only the last run of fn counts, so fn must reset the variables that it sets.
func (s *Store) write(ctx context.Context, fn func(ctx context.Context, q Querier) error) error {
	return s.writeOf(ctx, ofBackground, fn)
}

// writeOf is write for a kind of transactions.
func (s *Store) writeOf(
	ctx context.Context, kind writeKind, fn func(ctx context.Context, q Querier) error,
) error {
	const attempts = 5
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.callGuard(); err != nil {
			return err
		}
		err := s.mapped(s.writer.do(ctx, kind, fn))
		if err == nil {
			return s.callGuard()
		}
		if n == attempts || !s.x.dialect.collided(err) {
			return err
		}
	}
}

// callGuard calls Config.Guard, if there is one.
func (s *Store) callGuard() error {
	if s.guard == nil {
		return nil
	}
	return s.guard()
}

// mapped returns the error in the form for the caller.
func (s *Store) mapped(err error) error {
	if err == nil || s.mapError == nil {
		return err
	}
	return s.mapError(err)
}

// micros and moment convert times to the stored form and back. The zero time comes
// back as the zero time.
func micros(t time.Time) int64  { return t.UnixMicro() }
func moment(us int64) time.Time { return time.UnixMicro(us).UTC() }

// States of deliveries and endpoints as they are stored.
const (
	statePending   = 0
	stateInFlight  = 1
	stateSucceeded = 2
	stateDead      = 3
	stateCancelled = 4

	endpointActive  = 0
	endpointPaused  = 1
	endpointDeleted = 2
)
