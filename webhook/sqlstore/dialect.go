package sqlstore

import (
	"context"
	"database/sql"
	"strings"
)

// A Dialect says in which kind of database the tables are: use [SQLite] or [PostgreSQL]. It cannot
// be implemented outside of this package.
type Dialect interface{ dialect }

// dialect is all that differs between databases. Each database has one file with its
// dialect, such as sqlite.go, and its schema files. To add MySQL, write mysql.go with a
// constructor next to [SQLite] and with these methods, and schema/mysql_0001.sql and so
// on, up to the version that the other databases have.
//
// The statements in the other files are written once, with a question mark for each
// parameter, and with these words in braces, which expand replaces:
//
//	{in}           "is one of these integers": the parameter is what ints returns
//	{notin}        the opposite, with the same parameter
//	{notintexts}   "is none of these texts": the parameter is what texts returns
//	{versions}     a subquery: a JSON object with the versions of organizations by their
//	               ids; the parameter is what texts returns
//	{join}         an inner join that reads the table on its left first
//	{prefetched}   the rows d of {p}deliveries that are in flight under the leases l, as a table
//	{forupdate}    ends a SELECT from the table d, and locks its rows
//	{skiplocked}   the same, but passes over rows that another transaction has locked
//	{sorted}       the order in which a batch inserts events: of equal ones, the one with the
//	               smallest id comes first
//	{update}       begins an UPDATE of the table d that reads the rows of a batch as the table v,
//	               and {fromrows} stands between its SET and its WHERE; no column of v has the
//	               name of a column that it sets
//	{appended}     the history of d with the attempt of v at its end, or NULL if one is NULL
//	{room}         the history of a new delivery: NULL, or as many spaces as its first attempt needs
//	{int}          a parameter that is an integer, where nothing else in the statement says so
//	{nextnumber}   a number that no organization has had
//	{nextid}       an id that no delivery has or is smaller than
//	{blocksbelow}  a condition for rows of {p}blocks whose block is below the first
//	               parameter, as many as the second one allows
//
// The [expander] replaces {p} by the prefix of the tables, {attempted} by a constant, and in a
// batch {v} by the rows as a table v for a WITH, and {rows} by what the method rows returns.
//
// Apart from these words the statements have only what SQLite, PostgreSQL, MySQL and MariaDB all
// understand. portable_test.go checks these rules:
//
//   - WITH stands only before SELECT, which may be in an INSERT or in a subquery.
//   - A subquery has no LIMIT, and does not read the table that the statement changes, unless the
//     subquery is in FROM.
//   - An assignment does not read a column that an assignment before it has set: MySQL would read
//     the new value.
//   - INSERT and DELETE give their table no other name.
//   - There is no RETURNING: see the method returning. There are no casts, and no || for text.
//   - An INSERT ends with ON CONFLICT DO NOTHING, with ON CONFLICT (columns) DO UPDATE SET, or with
//     neither. DO UPDATE has no WHERE, and calls the new row excluded, and the stored row by the
//     name of its table. MySQL has other words for this, ON DUPLICATE KEY UPDATE and
//     VALUES(column), so its expand would replace these words, too.
//
// Where the store reads how many rows an UPDATE has changed, the UPDATE changes a value in each of
// them, because MySQL does not count the other rows. The exceptions are Start and Extend, which
// query the rows if the number is too small. The database must compare texts byte by byte, and
// distinguish them by spaces at their end.
type dialect interface {
	// name begins the names of the schema files.
	name() string
	// expand replaces the words in braces that are listed above.
	expand(statement string) string
	// bind replaces question marks by the parameters of the database. It is called
	// once for each statement, when a Store is made.
	bind(statement string) string
	// ints returns the parameter for {in} and {notin}, and texts the one for {notintexts} and {versions}.
	ints(numbers []int64) string
	texts(texts []string) string

	// rows returns a SELECT or VALUES of rows with these columns, in which question marks
	// stand for parameters: one text for each number of rows that a statement has.
	rows(columns []column) map[int]string
	// execBatch runs the statement over all rows, and returns how many rows of the
	// table it changed. The rest are the parameters after the rows. If transactions run at the
	// same time, all rows of a batch must go into one statement, because {sorted} keeps two
	// transactions from a deadlock only within a statement.
	execBatch(ctx context.Context, q Querier, b *batch, rows, rest []any) (int64, error)
	// queryBatch is execBatch for a statement that returns rows.
	queryBatch(
		ctx context.Context, q Querier, b *batch, rows, rest []any, scan func(scanner) error,
	) error

	// newWriter returns what runs the store's transactions.
	newWriter(db *sql.DB, config Config) writer
	// collided reports whether a transaction failed only because of another one that ran
	// at the same time, so that it can run again. The error is what Config.MapError returned, so
	// the package of a driver can give its errors the code for which collided looks.
	collided(err error) bool
	// lockSchema keeps other processes from migrating until the transaction ends. In MySQL a
	// statement that changes the schema commits the transaction, so the lock would be that of
	// a connection, which the writer releases.
	lockSchema(ctx context.Context, q Querier, prefix string) error
	// schemaPatienceSQL has the statements that follow in the transaction fail soon if they wait for
	// others that use the tables, because whatever uses these later waits behind them. It may be empty,
	// where that cannot happen. tooLate recognises that error.
	schemaPatienceSQL() string
	tooLate(err error) bool
	// returning reports whether INSERT and UPDATE can end with RETURNING. If not, the store reads
	// the changed row with a second statement.
	returning() bool
	// shards is how many rows the figures of an endpoint and hour are spread over, so
	// that transactions do not wait for each other.
	shards() int64
	// pieceSize is how many deliveries of a wide event one transaction stores after the first.
	pieceSize() int
	// claimsLeaveQueue reports whether what is claimed leaves the queue and is leased by rows of the
	// table leases, as what is prefetched. Otherwise it moves to where its lease ends in the queue.
	claimsLeaveQueue() bool

	// The statements that each database writes in its own way follow. The expander
	// expands and binds them like the others.

	// clockSQL selects the time in microseconds since 1970. It is empty if the database
	// has the clock of this machine.
	clockSQL() string
	// emitTablesSQL takes the locks of tables that an emit needs, before reserveSQL bounds how long it
	// waits for other transactions. It may be empty.
	emitTablesSQL() string
	// reserveSQL takes ids: each row of read has the id after a span of them, and {versions}. If
	// that needs two statements, take runs before read, and otherwise it is empty. reserveSpan
	// returns the parameter of the first statement with which it takes at least n ids, and how
	// long a span is then. callers says that the transaction is one of the caller, which may take ids
	// any number of times.
	reserveSQL(callers bool) (take, read string)
	reserveSpan(n int) (parameter, span int)
	// tailSQL returns the queries of tailEnd. given selects an id that is larger than all that were
	// given out. open selects, for each open transaction that may have taken ids, an id that is not
	// larger than any of them, and when the transaction began; 0 is unknown. It is empty if ids are
	// given out in the order of the commits. Both run on their own, open after given.
	tailSQL() (given, open string)
	// addResultsSQL adds a row to the table results, which has a larger id than all before: its
	// parameters are at and entries. resultsSQL is tailSQL for these ids: given selects the largest
	// one that was given out, and 0 before the first.
	addResultsSQL() string
	resultsSQL() (given, open string)
	// notifySQL tells other processes, once the transaction has committed, that a
	// delivery is due. Its parameter is a text for them. It is empty if the database cannot.
	notifySQL() string
	// lineLockSQL returns the queries that lock lines by their numbers, for the transaction. lock waits
	// for them in the given order. tryLock waits for none, and returns each number with whether it has
	// the lock. Both are empty if there is one writer. The parameter is what ints returns.
	lineLockSQL() (lock, tryLock string)
	// transactionsSQL returns the queries of Diagnose. long selects the number, application, state and
	// beginning of each transaction that began up to its first parameter, the oldest first, as many as
	// the second one allows. hidden counts the sessions of which that cannot be seen. Both are empty if
	// the database cannot tell.
	transactionsSQL() (long, hidden string)
	// claimSQL selects what is due in a range of endpoints. If there is deadEntriesSQL, its first
	// parameters are those of places. claimLimit returns how many rows it must return so that the first
	// limit of them are right once they are sorted.
	claimSQL() string
	// deadEntriesSQL returns the queries by which claims avoid index entries of what is not in the queue
	// any more. look selects the endpoints that are visited by a claim with the same places and range,
	// and of each the due time of the first delivery in the queue from there on: of those that were not
	// attempted since they were queued, and of the others. Its last parameter bounds the rows. dead
	// selects how many such entries the transaction has read. Both are empty if the database removes
	// the entries at once.
	deadEntriesSQL() (look, dead string)
	// firstSQL selects the ids of the first deliveries d in that order of their ids, ASC or DESC, with
	// their event e, of each of some endpoints p that meet the condition. After its parameters, one
	// says how many of each endpoint, and one, as ints returns it, of which endpoints.
	firstSQL(condition, order string) string
	claimLimit(limit, perEndpoint int) int
}

// writeKind says how long a transaction may wait.
type writeKind int

const (
	// ofBackground is for all transactions but those of emits.
	ofBackground writeKind = iota
	// ofEmit stores events. The caller of Emit waits for it, and then the first attempts begin.
	ofEmit
)

// writer runs transactions.
type writer interface {
	// do runs fn in a transaction, which it commits if fn returns nil. The context that
	// fn gets is the one to use inside. Of transactions that have to wait for each other, those of
	// emits are run before all that wait.
	do(ctx context.Context, kind writeKind, fn func(ctx context.Context, q Querier) error) error
	close() error
}

// expander turns the statements of this package into those of a store.
type expander struct {
	dialect Dialect
	prefix  string
}

// words replaces all words in braces but {rows}.
func (x expander) words(statement string) string {
	return strings.NewReplacer("{p}", x.prefix, "{attempted}", attempted).
		Replace(x.dialect.expand(statement))
}

// sql returns the statement as the database takes it.
func (x expander) sql(statement string) string { return x.dialect.bind(x.words(statement)) }

// batch is a statement that runs over many rows.
type batch struct {
	columns []column
	// texts has the statement as the database takes it, by the number of its rows.
	texts map[int]string
}

type column struct {
	name string
	kind kind
}

type kind int

const (
	integer kind = iota
	text
	binary
)

// batch makes a batch of a statement. Where it says {v} or {update}, it reads rows with these
// columns. No parameter comes before them.
func (x expander) batch(statement string, columns ...column) *batch {
	b := &batch{columns: columns, texts: make(map[int]string)}
	statement = strings.Replace(x.words(statement), "{v}", "v ("+namesOf(columns)+") AS ({rows})", 1)
	for n, rows := range x.dialect.rows(columns) {
		b.texts[n] = x.dialect.bind(strings.Replace(statement, "{rows}", rows, 1))
	}
	return b
}

// namesOf returns the names of the columns, with commas between them.
func namesOf(columns []column) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}
