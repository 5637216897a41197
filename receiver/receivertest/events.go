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

// holdFor is how long copies of a held event are waited for. A receiver may answer
// them at once, or only when the event has been handled.
const holdFor = time.Second / 2

func duplicateInFlight(ctx context.Context, s *suite) error {
	m := s.message()
	unlock, err := s.Hold(ctx, m.id)
	if err != nil {
		return fmt.Errorf("asking to hold the event: %w", err)
	}
	release := sync.OnceFunc(unlock)
	defer release() // a receiver that waits for ever could not be stopped

	type outcome struct {
		got answer
		err error
	}
	outcomes := make(chan outcome, rivals)
	for range rivals {
		go func() {
			got, err := s.send(ctx, m)
			outcomes <- outcome{got, err}
		}()
	}
	held, enough := true, time.After(holdFor)
	for left := rivals; left > 0; {
		if left == 1 || !held { // who handles the event cannot answer yet
			held = false
			release()
		}
		select {
		case <-enough:
			held = false
		case o := <-outcomes:
			left--
			switch {
			case o.err != nil:
				return o.err
			case held && o.got.ok():
				return fmt.Errorf("answered %d while the event was still being handled", o.got.status)
			case !o.got.ok() && !o.got.later():
				return fmt.Errorf("a copy was answered %d instead of 409, 425, 429 or 503", o.got.status)
			}
		}
	}
	if err := s.acceptedInTime(ctx, m); err != nil {
		return err
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
