package webhook

import (
	"context"
	"time"
)

// DiagnosticStore tells how the store itself is, to the people who run the service.
type DiagnosticStore interface {
	// Diagnose says how the store is at now. It changes nothing, and costs no more than [History].Totals.
	Diagnose(ctx context.Context, now time.Time) (Diagnosis, error)
}

// Diagnosis says how a store is. It is for those who run the service, and not for its customers.
type Diagnosis struct {
	// Kind names the database, such as "postgres".
	Kind string
	// SchemaVersion is the version of the tables, and NeededVersion the one that this process was made
	// for. Tables that are older lack the migrations between the two; tables that are newer were
	// changed by a newer process.
	SchemaVersion, NeededVersion int
	// LastResult is when any process last stored what became of a delivery. Zero if none has.
	LastResult time.Time
	// Transactions are those of the database that have been open for long. Nil if the question does
	// not apply, because the database cannot tell or they do no harm.
	Transactions *LongTransactions
}

// LongTransactionAge is the age from which a transaction is listed in [LongTransactions].
const LongTransactionAge = time.Minute

// MaxLongTransactions is how many transactions [LongTransactions] has at most.
const MaxLongTransactions = 20

// LongTransactions are transactions of any program that have been open for [LongTransactionAge] or
// longer. They keep the database from clearing up what was deleted and replaced, so that it
// grows and slows down.
type LongTransactions struct {
	// Oldest has the oldest of them, the oldest first, and More says that there are more.
	Oldest []LongTransaction
	More   bool
	// Hidden is how many sessions of the database are not looked at, because the store's role may not
	// see what they do. In PostgreSQL the role pg_read_all_stats may.
	Hidden int
}

// LongTransaction is a transaction that has been open for long. What it does is left out, because
// statements can hold data of customers.
type LongTransaction struct {
	// PID is the number of its process on the server.
	PID int
	// Application is the name that the program has given its connection, if any.
	Application string
	// State says what it does, such as "active" or "idle in transaction".
	State string
	// Since is when it began, by the store's clock.
	Since time.Time
}
