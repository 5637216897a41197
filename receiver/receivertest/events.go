package receivertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

func validEvent(ctx context.Context, s *suite) error {
	m := s.message()
	if err := s.accepted(ctx, "a valid event", m); err != nil {
		return err
	}
	if s.first.id == "" {
		s.first = m
	}
	return s.handled(ctx, m.id, 1)
}

// longMemory sends the first event of the run again, at the end.
func longMemory(ctx context.Context, s *suite) error {
	if s.first.id == "" {
		return errors.New("no event was accepted before, so none can be sent again")
	}
	m := s.first
	m.at = time.Now()
	if err := s.accepted(ctx, "the first event once more", m); err != nil {
		return err
	}
	return s.handled(ctx, m.id, 1)
}

// anyJSON sends events in JSON that the encoder of this module does not write.
func anyJSON(ctx context.Context, s *suite) error {
	var errs []error
	for what, text := range map[string]string{
		"with white space":               "\r\n\t{ \"event_id\" : %q ,\n \"event_type\" :\t%q , \"namespace\" : \"receivertest\" } \n",
		"in another order, with escapes": `{"namespace":"receivertest","\u0065vent_type":%[2]q,"subject":{"type":"object","id":"caf\u00e9 \ud83d\ude00 é 😀"},"event_id":%[1]q}`,
		"with numbers of any size":       `{"event_id":%q,"event_type":%q,"namespace":"receivertest","metadata":{"n":12345678901234567890123,"e":1e400,"z":-0.0,"d":[[[[{}]]]],"null":null}}`,
	} {
		m := s.message()
		m.body = fmt.Appendf(nil, text, m.id, s.EventType)
		err := s.accepted(ctx, "JSON "+what, m)
		if err == nil {
			err = s.handled(ctx, m.id, 1)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// oddIDs sends ids that differ in one place only, or with characters that some stores
// mistreat.
func oddIDs(ctx context.Context, s *suite) error {
	unique := event.NewID()
	long := strings.Repeat("x", 200-len(unique))
	var errs []error
	for _, suffix := range []string{
		"/1", "/2", ":1", ":2", "'1", "'2", `"`, "%", "%25", "?", "#", "*", "+", "\\", "aB", "Ab", "ab",
		long + "1", long + "2",
	} {
		e := event.New(s.EventType, event.Subject{Type: "object", ID: "obj_receivertest"})
		e.ID = unique + suffix
		err := s.accepted(ctx, "an event with the id "+e.ID, s.messageOf(e))
		if err == nil {
			err = s.handled(ctx, e.ID, 1)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the id %s: %w", e.ID, err))
		}
		if len(errs) == 3 {
			break // further ones would not tell more
		}
	}
	return errors.Join(errs...)
}

// manyAtOnce sends different events at the same time.
func manyAtOnce(ctx context.Context, s *suite) error {
	errs := make([]error, 2*rivals)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			m := s.message()
			if errs[i] = s.acceptedInTime(ctx, m); errs[i] == nil {
				errs[i] = s.handled(ctx, m.id, 1)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err // the others would not tell more
		}
	}
	return nil
}

// failingHandler sends an event whose handler fails at first.
func failingHandler(ctx context.Context, s *suite) error {
	m := s.message()
	recovered, err := s.Fail(ctx, m.id)
	if err != nil {
		return fmt.Errorf("Options.Fail: %w", err)
	}
	recovered = sync.OnceFunc(recovered)
	defer recovered()
	for range 2 { // the second request meets the state that the first has left
		got, err := s.send(ctx, m)
		switch {
		case err != nil:
			return fmt.Errorf("an event whose handler fails: %w", err)
		case got.ok():
			return fmt.Errorf("a failing handler: answered %d, which tells the sender that it succeeded",
				got.status)
		case got.status < 500 && !got.later():
			return fmt.Errorf("a failing handler: answered %d, which tells the sender to give up; say 503",
				got.status)
		}
	}
	recovered()
	if err := s.acceptedInTime(ctx, m); err != nil {
		return fmt.Errorf("when the handler works again: %w", err)
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
		s.messageOf(event.New("receivertest.unknown.type",
			event.Subject{Type: "object", ID: "obj_1"})))
}

func duplicate(ctx context.Context, s *suite) error {
	m, start := s.message(), time.Now()
	for i := range 3 {
		m.at = start.Add(time.Duration(i-2) * time.Second) // a retry has its own signature
		if err := s.accepted(ctx, fmt.Sprintf("attempt %d", i+1), m); err != nil {
			return err
		}
		for range rivals { // other events arrive between the copies
			if err := s.accepted(ctx, "another event", s.message()); err != nil {
				return err
			}
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
				err = fmt.Errorf("a concurrent copy: answered %d instead of 2xx, 409, 425, 429 or 503",
					got.status)
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

// holdFor is how long the suite waits for answers to copies of a held event, unless the receiver is
// slow. A receiver may answer them at once, or only when the event was handled.
const holdFor = time.Second / 2

func duplicateInFlight(ctx context.Context, s *suite) error {
	// A receiver that is slow, or on a busy machine, answers the copies late.
	begun := time.Now()
	if err := s.accepted(ctx, "another event", s.message()); err != nil {
		return err
	}
	wait := min(max(holdFor, 20*time.Since(begun)), requestTimeout/2)
	m := s.message()
	unlock, err := s.Hold(ctx, m.id)
	if err != nil {
		return fmt.Errorf("Options.Hold: %w", err)
	}
	release := sync.OnceFunc(unlock)
	defer release() // or the receiver could not be stopped

	type reply struct {
		got answer
		err error
	}
	replies := make(chan reply, rivals)
	for range rivals {
		go func() {
			got, err := s.send(ctx, m)
			replies <- reply{got, err}
		}()
	}
	held, enough := true, time.After(wait)
	for left := rivals; left > 0; {
		if left == 1 || !held { // the request that is being handled has no answer yet
			held = false
			release()
		}
		select {
		case <-enough:
			held = false
		case o := <-replies:
			left--
			switch {
			case o.err != nil:
				return o.err
			case held && o.got.ok():
				return fmt.Errorf("answered %d while the event was still being handled",
					o.got.status)
			case !o.got.ok() && !o.got.later():
				return fmt.Errorf("a copy was answered %d instead of 409, 425, 429 or 503",
					o.got.status)
			}
		}
	}
	if err := s.acceptedInTime(ctx, m); err != nil {
		return err
	}
	return s.handled(ctx, m.id, 1)
}

// patience bounds how long an event is sent again until it is acknowledged.
const patience = 5 * time.Second

// acceptedInTime sends a message until it is acknowledged, as a sender does.
func (s *suite) acceptedInTime(ctx context.Context, m message) error {
	end := time.After(patience)
	for pause := 10 * time.Millisecond; ; pause *= 2 {
		m.at = time.Now()
		got, err := s.send(ctx, m)
		switch {
		case err != nil:
			return err
		case got.ok():
			return nil
		case !got.later():
			return fmt.Errorf("sent again: answered %d", got.status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("never acknowledged: answered %d", got.status)
		case <-end:
			return fmt.Errorf("not acknowledged within %v of being handled: answered %d", patience,
				got.status)
		case <-time.After(pause):
		}
	}
}
