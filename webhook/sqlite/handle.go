package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
)

// handleConns is how many connections a Store can need at a time: one that writes, one that keeps
// the log, one for a query, and one for a transaction of the caller.
const handleConns = 4

// New returns a Store on the caller's handle, and brings its tables to the newest
// schema. The handle may be of any driver for SQLite 3.38 or newer, though only the errors of
// modernc.org/sqlite match ErrLocked, ErrFull and so on. It stays open when the Store is
// closed.
//
// The Store needs a file, write-ahead logging, commits that survive a loss of power, a busy timeout
// on every connection, and 4 connections or more. If the handle lacks one of them, New returns an
// error that says what to set. New also returns an error if db is nil, or if config sets
// BusyTimeout or Readers. With modernc.org/sqlite, make the handle with
//
//	sql.Open("sqlite", "file:shop.db?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)"+
//		"&_pragma=synchronous(FULL)&_txlock=immediate")
//
// and on macOS with &_pragma=fullfsync(1)&_pragma=checkpoint_fullfsync(1) too, without which data
// stays in the drive's cache. _txlock is for the caller's own transactions: a transaction that
// begins without the write lock fails if another one writes between its first query and its first
// write.
func New(ctx context.Context, db *sql.DB, config Config) (*Store, error) {
	if db == nil {
		return nil, errors.New("sqlite: the handle is nil: make one with sql.Open, or use Open")
	}
	if config.BusyTimeout != 0 || config.Readers != 0 {
		return nil, errors.New("sqlite: Config.BusyTimeout and Config.Readers are for Open: " +
			"set the busy timeout in the handle's data source name, " +
			"and the connections with SetMaxOpenConns")
	}
	path, err := checkHandle(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("sqlite: the handle: %w", mapError(err))
	}
	s := &Store{writer: db, callers: db, reader: db}
	if err := s.start(ctx, path, config); err != nil {
		return nil, fmt.Errorf("sqlite: opening %s: %w", path, err)
	}
	return s, nil
}

// checkHandle returns the path of the handle's file. It checks two connections at a time, because a
// setting that was made by a statement holds for one connection only.
func checkHandle(ctx context.Context, db *sql.DB) (path string, err error) {
	if n := db.Stats().MaxOpenConnections; n > 0 && n < handleConns {
		return "", fmt.Errorf("it may have %d connections, and the store needs %d: "+
			"call SetMaxOpenConns with that or more", n, handleConns)
	}
	for range 2 {
		conn, err := db.Conn(ctx)
		if err != nil {
			return "", err
		}
		defer func() { _ = conn.Close() }() // back to the handle
		if path, err = checkConn(ctx, conn); err != nil {
			return "", err
		}
	}
	return path, nil
}

// checkConn checks the settings of a connection, and returns the path of its file.
func checkConn(ctx context.Context, conn *sql.Conn) (path string, err error) {
	var journal string
	var synchronous, timeout int
	for _, ask := range []struct {
		query string
		into  any
	}{
		{mainFile, &path},
		{"PRAGMA journal_mode", &journal},
		{"PRAGMA synchronous", &synchronous},
		{"PRAGMA busy_timeout", &timeout},
	} {
		if err := conn.QueryRowContext(ctx, ask.query).Scan(ask.into); err != nil {
			return "", fmt.Errorf("%s: %w", ask.query, err)
		}
	}
	const inName = "set it for every connection, in the data source name: with modernc.org/sqlite "
	switch {
	case path == "":
		err = errors.New("it has no file: for a store in memory use package memstore")
	case journal != "wal":
		err = fmt.Errorf("its journal_mode is %s, and the store needs WAL: %s_pragma=journal_mode(WAL)",
			journal, inName)
	case synchronous < 2:
		err = fmt.Errorf("its synchronous is %d, with which a loss of power loses events, and the "+
			"store needs FULL: %s_pragma=synchronous(FULL)", synchronous, inName)
	case timeout <= 0:
		err = fmt.Errorf("it has no busy_timeout, and the store's writes wait for others: "+
			"%s_pragma=busy_timeout(10000)", inName)
	}
	return path, err
}

// Tx returns a transaction on the store's file, from any handle, in the form that
// [sqlstore.Store.EnqueueTx] and a Dispatcher's EmitTx take.
func Tx(tx *sql.Tx) webhook.Tx { return sqlstore.Tx(sqlstore.SQLite(), tx) }
