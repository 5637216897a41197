package postgres

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Errors that say what is wrong with the database. The errors of this package and of the Store's
// methods match them with errors.Is, and the driver's *pgconn.PgError with errors.As. All but
// ErrPermission, ErrNoSchema, ErrPooler and ErrNoNotifications match [webhook.ErrUnavailable] too.
// After the ErrUnavailable of this package, the call may have stored its data; after the others it
// has stored nothing.
var (
	// ErrFull means that the server has no room left on its disk. The Store continues when there is
	// room again.
	ErrFull = webhook.Unavailable("postgres: the server's disk is full")
	// ErrReadOnly means that the server accepts no writes, usually because it is a standby: after a
	// failover, the old primary. The Store then connects again. With all hosts and
	// target_session_attrs=read-write in the connection string it finds the primary.
	ErrReadOnly = webhook.Unavailable("postgres: the server is read-only")
	// ErrPermission means that the role lacks a right: CREATE on the schema to migrate; SELECT,
	// INSERT, UPDATE and DELETE on the tables, and USAGE and SELECT on their sequences, for everything
	// else.
	ErrPermission = errors.New("postgres: the role has no right to do this")
	// ErrTooManyConnections means that the server's connections, or those that
	// the role or the database may have, are all in use: see Config.MaxConns.
	ErrTooManyConnections = webhook.Unavailable("postgres: the server has no connection left")
	// ErrLogin means that the server refused the role or its password.
	ErrLogin = webhook.Unavailable("postgres: the server refused the role or its password")
	// ErrNoDatabase means that the server has no database of that name.
	ErrNoDatabase = webhook.Unavailable("postgres: the database does not exist")
	// ErrNoSchema means that no schema of the search_path exists.
	ErrNoSchema = errors.New("postgres: no schema of the search_path exists")
	// ErrTimeout means that the server ended a statement or a transaction,
	// because of a timeout that is set there or in the connection string.
	ErrTimeout = webhook.Unavailable("postgres: the server ended the statement after a timeout")
	// ErrUnavailable means that the server cannot be reached, or that the connection was lost. It is
	// one of the errors that match [webhook.ErrUnavailable]. If the connection was lost during a
	// commit, the events may or may not be stored. Emitting an event again is safe.
	ErrUnavailable = webhook.Unavailable("postgres: the server cannot be reached")
	// ErrPooler means that the connection string needs something that a pooler between this process
	// and the server does not support. The text says what to change.
	ErrPooler = errors.New("postgres: the pooler does not support what the connection string asks for")
	// ErrNoNotifications means that LISTEN works here only without the pooler, or
	// in its session mode. It matches [errors.ErrUnsupported].
	ErrNoNotifications = fmt.Errorf("postgres: the pooler does not pass notifications on: %w",
		errors.ErrUnsupported)
)

// errNoConnString is for Open. pgx would connect to the default database of the
// server on this machine, and Open would make its tables there.
var errNoConnString = errors.New("postgres: the connection string is empty: give one such as " +
	"postgres://user:password@host:5432/database " +
	"(is the environment variable that should hold it set?)")

// errLockTimeout is that of the server, or of the store in Enqueue.
var errLockTimeout = fmt.Errorf("%w: %w", ErrTimeout, webhook.ErrBlocked)

// What can be done about a pooler.
var (
	errPrepared = fmt.Errorf("%w: it keeps no prepared statements; leave default_query_exec_mode "+
		"out, or set max_prepared_statements, which PgBouncer has from version 1.21 on", ErrPooler)
	errStartup = fmt.Errorf("%w: leave the parameter out, and set it with ALTER ROLE "+
		"or in the pooler", ErrPooler)
)

// mapError adds one of the errors above to a driver's error.
func mapError(err error) error {
	if kind := kindOf(err); kind != nil {
		return fmt.Errorf("%w: %w", kind, err)
	}
	return err
}

func kindOf(err error) error {
	var fromServer *pgconn.PgError
	if errors.As(err, &fromServer) {
		if strings.HasPrefix(fromServer.Message, "unsupported startup parameter") { // PgBouncer's
			return errStartup
		}
		return kindOfCode(fromServer.Code)
	}
	var connecting *pgconn.ConnectError
	var network *net.OpError
	switch {
	case errors.As(err, &connecting), errors.As(err, &network), errors.Is(err, driver.ErrBadConn),
		errors.Is(err, pgconn.ErrConnClosed), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrUnavailable
	}
	return nil
}

// kindOfCode reads an SQLSTATE.
func kindOfCode(code string) error {
	switch code {
	case "53100":
		return ErrFull
	case "25006":
		return ErrReadOnly
	case "42501":
		return ErrPermission
	case "53300":
		return ErrTooManyConnections
	case "28000", "28P01":
		return ErrLogin
	case "3D000":
		return ErrNoDatabase
	case "3F000":
		return ErrNoSchema
	case "55P03":
		return errLockTimeout
	case "57014", "25P03", "25P04": // of a statement, an idle transaction, a transaction
		return ErrTimeout
	case "42P05", "26000": // there already, not there
		return errPrepared
	case "57P01", "57P02", "57P03", "57P05", // stopping, crashed, starting, an idle session
		"53000", "53200", "58030": // no resources, no memory, an I/O error
		return ErrUnavailable
	}
	if strings.HasPrefix(code, "08") {
		return ErrUnavailable
	}
	return nil
}

// stringError says what is wrong with a connection string. It contains no part of the string,
// because where the password is in an invalid string can only be guessed.
func stringError(connString string, err error) error {
	what := "it is neither a URL nor keyword=value pairs"
	var wrong *pgconn.ParseConfigError
	if errors.As(err, &wrong) {
		before := pgconn.NewParseConfigError(connString, "", nil).Error()
		what = strings.TrimPrefix(wrong.Error(), before)
		if cause := wrong.Unwrap(); cause != nil {
			what = strings.TrimSuffix(what, " ("+cause.Error()+")")
		}
	}
	return fmt.Errorf("postgres: the connection string: %s (in a URL, special characters of the "+
		"password are percent-encoded)", what)
}
