package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/bucket"
)

type rateStatements struct{ find, set *batch }

func newRateStatements(x expander) rateStatements {
	return rateStatements{
		// In the order of the ids, so that two callers lock the same rows one after the other.
		find: x.batch(`WITH {v}
			SELECT d.id, d.webhook_id, d.channel, d.rate FROM v {join} {p}endpoints d
				ON d.webhook_id = v.webhook_id AND d.channel = v.channel AND d.state < 2
			ORDER BY d.id {forupdate}`,
			column{"webhook_id", text}, column{"channel", text}),
		set: x.batch(`{update} {p}endpoints AS d SET rate = v.bucket {fromrows} WHERE d.id = v.id`,
			column{"id", integer}, column{"bucket", text}),
	}
}

// rated is an endpoint while permits are handed out.
type rated struct {
	id     int64
	bucket bucket.Bucket
}

// TakePermits implements [webhook.RateStore]. The rows of the endpoints are locked until it is done.
func (s *Store) TakePermits(
	ctx context.Context, now time.Time, requests []webhook.PermitRequest,
) (grants []webhook.PermitGrant, err error) {
	if len(requests) == 0 {
		return nil, ctx.Err()
	}
	asked := make(map[webhook.Endpoint]struct{}, len(requests))
	rows := make([]any, 0, 2*len(requests))
	for i := range requests {
		e := requests[i].Endpoint
		if _, ok := asked[e]; !ok {
			asked[e] = struct{}{}
			rows = append(rows, e.SubscriptionID, e.Channel)
		}
	}
	err = s.write(ctx, func(ctx context.Context, q Querier) error {
		found := make(map[webhook.Endpoint]*rated, len(asked))
		err := s.x.dialect.queryBatch(ctx, q, s.rates.find, rows, nil, func(row scanner) error {
			var e webhook.Endpoint
			var encoded []byte
			r := &rated{}
			if err := row.Scan(&r.id, &e.SubscriptionID, &e.Channel, &encoded); err != nil {
				return err
			}
			found[e] = r
			if encoded == nil {
				return nil
			}
			if err := json.Unmarshal(encoded, &r.bucket); err != nil {
				return fmt.Errorf("sqlstore: the rate of %s of %s: %w", e.Channel, e.SubscriptionID, err)
			}
			return nil
		})
		if err != nil {
			return err
		}
		grants = make([]webhook.PermitGrant, len(requests))
		for i := range requests {
			if r := found[requests[i].Endpoint]; r != nil {
				grants[i] = r.bucket.Take(now, &requests[i])
			}
		}
		changed := make([]any, 0, 2*len(found))
		for _, r := range found {
			encoded, err := json.Marshal(r.bucket)
			if err != nil {
				return err
			}
			changed = append(changed, r.id, string(encoded))
		}
		_, err = s.x.dialect.execBatch(ctx, q, s.rates.set, changed, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	return grants, nil
}
