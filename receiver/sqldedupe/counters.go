package sqldedupe

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"strings"
	"time"
)

// DefaultCountersTable is the default of [Config.Table] for [Counters].
const DefaultCountersTable = "webhook_receiver_generations"

// Counters implements invalidate.Counters in one table of a SQL database: it keeps the generation
// numbers of invalidate.Generations. It is safe for concurrent use, and many processes may share
// the table.
type Counters struct {
	db                         *sql.DB
	x                          expander
	schema, bump, start, prune string
}

// NewCounters returns Counters in db. The table must exist before they are used: see
// [Counters.CreateTable] and [Counters.Schema]. Its errors are those of [NewDedupe].
func NewCounters(db *sql.DB, dialect Dialect, config Config) (*Counters, error) {
	x, err := newExpander(db, dialect, config.Table, DefaultCountersTable)
	if err != nil {
		return nil, err
	}
	return &Counters{
		db: db, x: x, schema: x.schema("counters.sql"),
		// A new number is the time, whether it is first read or bumped, so that no old
		// number returns after its row was deleted.
		start: x.sql(`INSERT INTO {table} (name, generation) VALUES (?, {now})
			ON CONFLICT (name) DO NOTHING`),
		bump: x.sql(`INSERT INTO {table} AS old (name, generation) VALUES (?, {now})
			ON CONFLICT (name) DO UPDATE
			SET generation = {greatest}(old.generation + 1, excluded.generation)`),
		// The condition stands twice because a number may be bumped in between.
		prune: x.sql(`DELETE FROM {table} WHERE generation <= (SELECT {now}) - ? AND name IN (
			SELECT name FROM {table} WHERE generation <= (SELECT {now}) - ? LIMIT ?)`),
	}, nil
}

// Schema returns the statement that creates the table, for a migration tool.
func (c *Counters) Schema() string { return c.schema }

// CreateTable creates the table unless it exists. Many processes may call it at the same
// time.
func (c *Counters) CreateTable(ctx context.Context) error {
	return c.x.createTable(ctx, c.db, c.schema)
}

// Bump makes each number larger than it ever was.
func (c *Counters) Bump(ctx context.Context, names ...string) error {
	for _, name := range names {
		if _, err := c.db.ExecContext(ctx, c.bump, name); err != nil {
			return fmt.Errorf("sqldedupe: bump: %w", err)
		}
	}
	return nil
}

// Read returns the numbers in the order of the names. A name without a number, because it was never
// bumped or its row was deleted, gets the current Unix time in milliseconds, which is stored.
func (c *Counters) Read(ctx context.Context, names ...string) ([]int64, error) {
	found, err := c.stored(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("sqldedupe: read: %w", err)
	}
	var missing []string
	for _, name := range names {
		if _, ok := found[name]; ok {
			continue
		}
		if _, err := c.db.ExecContext(ctx, c.start, name); err != nil {
			return nil, fmt.Errorf("sqldedupe: read: %w", err)
		}
		missing = append(missing, name)
	}
	started, err := c.stored(ctx, missing) // another process may have inserted them first
	if err != nil {
		return nil, fmt.Errorf("sqldedupe: read: %w", err)
	}
	maps.Copy(found, started)
	numbers := make([]int64, len(names))
	for i, name := range names {
		number, ok := found[name]
		if !ok {
			return nil, fmt.Errorf("sqldedupe: read: %q was deleted during the call", name)
		}
		numbers[i] = number
	}
	return numbers, nil
}

// countersAge is how old a number is when Prune removes it. Since it is a time, or was bumped more
// than once in a millisecond, the time that takes its place is larger.
const countersAge = 30 * 24 * time.Hour

// Prune removes up to limit numbers that were first read or last bumped more than 30 days ago, and
// returns how many it removed. Without it the table grows, because readers may ask for names that
// do not exist. A number that is read again is a new one, so that entries of a cache are loaded
// once more. A limit of 0 means [DefaultPrune]; a negative one is an error.
func (c *Counters) Prune(ctx context.Context, limit int) (int64, error) {
	age := countersAge.Milliseconds()
	return prune(ctx, c.db, limit, c.prune, age, age)
}

// stored returns the numbers that are in the table.
func (c *Counters) stored(ctx context.Context, names []string) (map[string]int64, error) {
	numbers := make(map[string]int64, len(names))
	if len(names) == 0 {
		return numbers, nil
	}
	args := make([]any, len(names))
	for i, name := range names {
		args[i] = name
	}
	query := c.x.sql("SELECT name, generation FROM {table} WHERE name IN (?" +
		strings.Repeat(", ?", len(names)-1) + ")")
	rows, err := c.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err has the error that counts
	for rows.Next() {
		var name string
		var number int64
		if err := rows.Scan(&name, &number); err != nil {
			return nil, err
		}
		numbers[name] = number
	}
	return numbers, rows.Err()
}
