package sqlstore

import (
	"context"
	"database/sql"
	"strings"
)

// Dialect is what differs between databases: use [SQLite] or [PostgreSQL].
// It cannot be implemented outside of this package.
type Dialect interface {
	// name begins the names of the schema files.
	name() string
	// expand replaces what stands in braces in a statement.
	expand(statement string) string
	// rebind turns question marks into the database's parameters.
	rebind(statement string) string
	// ints writes numbers as the one parameter of {in} and {notin}, and texts
	// ids of organizations as that of {versions}, which is a subquery for the
	// JSON of those of their versions that there are.
	ints(numbers []int64) string
	texts(texts []string) string

	// prepareBatch fills in the texts of a batch.
	prepareBatch(b *batch)
	// execBatch runs the statement over all rows, and counts the rows changed.
	// The rest are the parameters after the rows.
	execBatch(ctx context.Context, q Querier, b *batch, rows, rest []any) (int64, error)
	// queryBatch is execBatch for a statement that returns rows.
	queryBatch(ctx context.Context, q Querier, b *batch, rows, rest []any, scan func(scanner) error) error

	// collided reports whether a transaction failed only because of another
	// one at the same time.
	collided(err error) bool
	// newWriter returns what runs the store's transactions.
	newWriter(db *sql.DB) writer
	// lockSchema lets nobody else migrate until the transaction ends.
	lockSchema(ctx context.Context, q Querier, prefix string) error
	// clockSQL asks for the time in microseconds since 1970; empty if the
	// database has no clock but that of this machine.
	clockSQL() string
	// reserveSQL takes ids: each row is the id after a span of them, with
	// {versions}. reserveSpan says what parameter takes n ids, and how long a
	// span is then.
	reserveSQL() string
	reserveSpan(n int) (parameter, span int)
	// notifySQL tells other processes, once the transaction commits, that
	// something is due; empty if the database cannot.
	notifySQL() string
	// claimSQL selects what is due in a range of endpoints. claimLimit says
	// how many rows it must return so that the first limit of them are right
	// once they are sorted.
	claimSQL() string
	claimLimit(limit, perEndpoint int) int
	// shards is how many parts the figures of an hour have.
	shards() int64
}

// writer runs transactions.
type writer interface {
	// do runs fn in a transaction, which it commits unless fn fails. The
	// context that fn gets is the one to use inside.
	do(ctx context.Context, fn func(ctx context.Context, q Querier) error) error
	close() error
}

// expander turns the statements of this package into those of a store.
type expander struct {
	dialect Dialect
	prefix  string
}

func (x expander) sql(statement string) string {
	return strings.ReplaceAll(x.dialect.expand(statement), "{p}", x.prefix)
}
