package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Statistics of a million deliveries, asked for sixteen times at once, took all connections, and no
// claim had any.
func TestLongReadsLeaveConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := sql.OpenDB(willing{})
		defer func() { require.NoError(t, db.Close()) }()
		x, err := newExpander(SQLite(), "")
		require.NoError(t, err)
		var reading atomic.Int32
		release := make(chan struct{})
		s := x.store(db, Config{Connections: 8, Guard: func() error {
			reading.Add(1)
			<-release
			return nil
		}})
		defer func() { require.NoError(t, s.Close()) }()

		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1_000)
		scan := func(org string) {
			for i, read := range []func() error{
				func() error {
					_, err := s.Statistics(ctx, webhook.StatisticsQuery{OrganizationID: org, SubscriptionID: "wh_1"})
					return err
				},
				func() error {
					_, err := s.HourlyStatistics(ctx, webhook.HourlyQuery{OrganizationID: org})
					return err
				},
				func() error {
					_, err := s.Totals(ctx, time.Now(), webhook.TotalsQuery{OrganizationID: org})
					return err
				},
				func() error {
					_, err := s.Deliveries(ctx, webhook.DeliveryQuery{OrganizationID: org, EventType: "no.such"})
					return err
				},
				func() error {
					_, err := s.Subscriptions(ctx, webhook.SubscriptionQuery{OrganizationID: org, EventType: "no.such"})
					return err
				},
				func() error {
					_, err := s.CountSubscriptions(ctx,
						webhook.SubscriptionQuery{OrganizationID: org, EventType: "no.such"})
					return err
				},
			} {
				for range 3 {
					go func() {
						if err := read(); err != nil {
							ended <- fmt.Errorf("%s, read %d: %w", org, i, err)
						}
					}()
				}
			}
		}
		scan("a")
		synctest.Wait()
		assert.EqualValues(t, 3, reading.Load(), "an organization leaves a place to others")
		scan("b")
		scan("c")
		synctest.Wait()
		assert.EqualValues(t, 4, reading.Load(), "and all together have half of them")
		go func() { _, _ = s.Subscription(t.Context(), "a", "wh_1") }()
		go func() { _, _ = s.Totals(t.Context(), time.Now(), webhook.TotalsQuery{AllOrganizations: true}) }()
		synctest.Wait()
		assert.EqualValues(t, 6, reading.Load(), "what is short, or the operator's, does not wait")

		cancel()
		synctest.Wait()
		assert.Len(t, ended, 3*18-4, "who waits can leave")
		for range len(ended) {
			require.ErrorIs(t, <-ended, context.Canceled)
		}
		close(release)
		synctest.Wait()
		assert.Empty(t, s.scans.organizations)
		assert.Empty(t, s.scans.all)
	})
}
