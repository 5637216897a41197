package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

// shop is a service with tables of its own, in the file that the store uses too.
type shop struct {
	db         *sql.DB
	dispatcher *dispatch.Dispatcher
}

// openShop makes the store on the service's own handle. The settings are those that
// sqlite.New asks for.
func openShop(ctx context.Context, path string) (*shop, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)"+
		"&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	s := &shop{db: db}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func (s *shop) prepare(ctx context.Context) error {
	const table = "CREATE TABLE IF NOT EXISTS articles (id TEXT PRIMARY KEY, title TEXT NOT NULL)"
	if _, err := s.db.ExecContext(ctx, table); err != nil {
		return err
	}
	store, err := sqlite.New(ctx, s.db, sqlite.Config{})
	if err != nil {
		return err
	}
	if s.dispatcher, err = dispatch.New(store, dispatch.Config{}); err != nil {
		return err
	}
	return s.dispatcher.PutSubscription(ctx, &webhook.Subscription{
		ID: "wh_searchpage", Name: "search", EventTypes: []event.Pattern{"article.*"},
		Channels: []webhook.ChannelConfig{
			webhook.Via(httpendpoint.Config{URL: "https://search.example.com/webhooks"}),
		},
	})
}

// save stores an article and emits an event about it, in one transaction.
func (s *shop) save(ctx context.Context, id, title string) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	e := event.New("article.created", event.Subject{Type: "article", ID: id})
	if _, err := s.dispatcher.EmitTx(ctx, sqlite.Tx(tx), e); err != nil {
		return err
	}
	const insert = "INSERT INTO articles (id, title) VALUES (?, ?)"
	if _, err := tx.ExecContext(ctx, insert, id, title); err != nil {
		return fmt.Errorf("article %s: %w", id, err)
	}
	return tx.Commit()
}

// The event is emitted in the transaction of the change. The second article is refused because its
// id is taken, so its event is rolled back too. The delivery stays pending, because Run is not
// called.
func ExampleTx() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "shop")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := openShop(ctx, filepath.Join(dir, "shop.db"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.db.Close() }()

	for _, title := range []string{"Red shoes", "Blue shoes"} {
		if err := s.save(ctx, "art_1", title); err != nil {
			fmt.Println("not saved:", title)
		}
	}

	deliveries, err := s.dispatcher.Deliveries(ctx, webhook.DeliveryQuery{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range deliveries {
		fmt.Println(d.EventType, d.Status)
	}
	// Output:
	// not saved: Blue shoes
	// article.created pending
}
