package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// willing is a database that takes every statement and does nothing.
type willing struct{ driver.Conn }

func (willing) Connect(context.Context) (driver.Conn, error) { return willing{}, nil }
func (willing) Driver() driver.Driver                        { return nil }
func (willing) Prepare(string) (driver.Stmt, error)          { return willingly{}, nil }
func (willing) Close() error                                 { return nil }
func (willingly) Close() error                               { return nil }
func (willingly) NumInput() int                              { return -1 }
func (willingly) Exec([]driver.Value) (driver.Result, error) { return driver.RowsAffected(0), nil }
func (willingly) Query([]driver.Value) (driver.Rows, error)  { return nil, driver.ErrSkip }

type willingly struct{}

// The writes of emits do not stand in line behind everything else that wants to write, and do not
// keep it out either.
func TestAnEmitWaitsForOneOtherTransaction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := sql.OpenDB(willing{})
		defer func() { require.NoError(t, db.Close()) }()
		w := newSQLiteWriter(db, nil)
		defer func() { require.NoError(t, w.close()) }()

		var mu sync.Mutex
		var order []string
		var calls sync.WaitGroup
		begin := func(name string, kind writeKind, wait <-chan struct{}) {
			calls.Go(func() {
				assert.NoError(t, w.do(t.Context(), kind, func(context.Context, Querier) error {
					if wait != nil {
						<-wait
					}
					mu.Lock()
					defer mu.Unlock()
					order = append(order, name)
					return nil
				}))
			})
			synctest.Wait() // it runs or stands in line
		}
		first, second := make(chan struct{}), make(chan struct{})
		begin("other 1", ofBackground, first)
		begin("other 2", ofBackground, nil)
		begin("other 3", ofBackground, nil)
		begin("emit 1", ofEmit, second)
		close(first)
		synctest.Wait()
		begin("emit 2", ofEmit, nil)
		close(second)
		calls.Wait()
		assert.Equal(t, []string{"other 1", "emit 1", "other 2", "emit 2", "other 3"}, order)
	})
}

func TestAWriteThatWaitsCanBeCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := sql.OpenDB(willing{})
		defer func() { require.NoError(t, db.Close()) }()
		w := newSQLiteWriter(db, nil)
		defer func() { require.NoError(t, w.close()) }()
		end := make(chan struct{})
		var calls sync.WaitGroup
		calls.Go(func() {
			assert.NoError(t, w.do(t.Context(), ofBackground,
				func(context.Context, Querier) error { <-end; return nil }))
		})
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		for _, kind := range []writeKind{ofBackground, ofEmit} {
			calls.Go(func() { assert.ErrorIs(t, w.do(ctx, kind, nil), context.Canceled) })
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(end)
		calls.Wait()
		require.NoError(t, w.do(t.Context(), ofBackground,
			func(context.Context, Querier) error { return nil }), "no place is lost")
	})
}
