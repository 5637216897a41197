package receivertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

func validEvent(ctx context.Context, s *suite) error {
	m := s.message()
	if err := s.accepted(ctx, "a valid event", m); err != nil {
		return err
	}
	return s.handled(ctx, m.id, 1)
}

func documentedEvents(ctx context.Context, s *suite) error {
	var errs []error
	for _, d := range Documented() {
		d = d.fresh()
		m := message{Credentials: s.Credentials, id: d.ID, body: d.Body, at: time.Now()}
		errs = append(errs, s.accepted(ctx, d.Name, m))
	}
	return errors.Join(errs...)
}

func unknownType(ctx context.Context, s *suite) error {
	return s.accepted(ctx, "an event of an unknown type",
		s.messageOf(event.New("receivertest.type.nobody.knows", event.Subject{Type: "object", ID: "obj_1"})))
}

func duplicate(ctx context.Context, s *suite) error {
	m := s.message()
	for i := range 3 {
		m.at = time.Now() // a retry is signed anew
		if err := s.accepted(ctx, fmt.Sprintf("attempt %d", i+1), m); err != nil {
			return err
		}
	}
	return s.handled(ctx, m.id, 1)
}

func concurrentDuplicate(ctx context.Context, s *suite) error {
	m := s.message()
	errs := make([]error, rivals)
	acknowledged := make([]bool, rivals)
	var wg sync.WaitGroup
	for i := range rivals {
		wg.Go(func() {
			got, err := s.send(ctx, m)
			acknowledged[i] = got.ok()
			if err == nil && !got.ok() && !got.later() {
				err = fmt.Errorf("a copy sent at the same time: answered %d instead of 2xx, 409, 425, 429 or 503", got.status)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i := range rivals {
		if acknowledged[i] {
			continue
		}
		if err := s.acceptedInTime(ctx, m); err != nil {
			return err
		}
	}
	return s.handled(ctx, m.id, 1)
}

// acceptedInTime sends until there is an acknowledgement, as a sender does.
func (s *suite) acceptedInTime(ctx context.Context, m message) error {
	for pause := 10 * time.Millisecond; ; pause *= 2 {
		m.at = time.Now()
		got, err := s.send(ctx, m)
		switch {
		case err != nil:
			return err
		case got.ok():
			return nil
		case !got.later():
			return fmt.Errorf("a copy sent again: answered %d", got.status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("a copy was never acknowledged: answered %d", got.status)
		case <-time.After(pause):
		}
	}
}
