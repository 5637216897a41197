package channeltest

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/mixpeek/webhooks-go/channel"
)

// A Harness describes the channel under test. Driver is required, and so is either HTTP or
// Accepting.
type Harness struct {
	// Driver is the driver under test. It must be able to reach targets on loopback over plain
	// HTTP.
	Driver channel.Driver

	// HTTP is for a channel that speaks HTTP: the suite serves its targets.
	HTTP *HTTP

	// Accepting is for any other channel. It returns a valid configuration whose target accepts
	// what it is sent, until the end of t.
	Accepting func(t testing.TB) json.RawMessage

	// Hanging returns a valid configuration whose target never answers. With HTTP it may be nil: the
	// suite then serves a target that hangs. Otherwise nil means that the target cannot hang.
	Hanging func(t testing.TB) json.RawMessage

	// Answers lists what the target can say beyond an HTTP status, and what each answer means. With
	// HTTP the table of statuses is tested as well. Empty means that there are no such answers.
	Answers []Answer

	// Bad lists configurations that Open must refuse. Empty means that the driver accepts every
	// configuration.
	Bad []Bad

	// Secrets lists strings of the configurations above that must not be in any error or Result:
	// tokens, keys, header values, the part of a URL that grants access.
	Secrets []string

	// Close releases what the driver keeps between attempts, such as idle connections. It is called
	// before the suite looks for leaks. Nil means that there is nothing to release.
	Close func()
}

// HTTP tells the suite what it needs to know about a channel that speaks HTTP.
type HTTP struct {
	// Config returns a valid configuration whose requests go to a URL below base, which has no
	// path.
	Config func(base string) json.RawMessage

	// Accept answers as the real service does when it accepts a message. Nil means that every 2xx
	// is an acceptance, whatever its body.
	Accept http.HandlerFunc
}

// Bad is a configuration that Open must refuse.
type Bad struct {
	// Name names the subtest.
	Name string
	// Config is the configuration, as JSON.
	Config string
	// Fields are the paths that the error must name, all in one error. Empty means that it may name
	// any.
	Fields []string
}

// Run runs the suite. It counts goroutines and file descriptors, so the test that calls it must not
// be parallel.
func Run(t *testing.T, h Harness) {
	if h.Driver == nil || h.HTTP == nil && h.Accepting == nil {
		t.Fatal("channeltest: a Harness needs a Driver, and either HTTP or Accepting")
	}
	before := count()
	t.Run("Rules", func(t *testing.T) {
		for _, r := range rules(&h) {
			t.Run(r.name, func(t *testing.T) {
				if r.parallel {
					t.Parallel()
				}
				if err := r.check(t, &h); err != nil {
					t.Errorf("%v\n\nThe rule: %s", err, r.why)
				}
			})
		}
	})
	if h.Close != nil {
		h.Close()
	}
	if err := before.leaked(); err != nil {
		t.Errorf("%v\n\nThe rule: %s", err,
			"An attempt leaves no goroutine and no descriptor behind, however it ends: "+
				"a process makes millions of them.")
	}
}

// A rule is one case of the suite. check returns what happened that should not
// have; the testing.TB is for the life of targets only.
type rule struct {
	name     string
	why      string
	parallel bool
	check    func(t testing.TB, h *Harness) error
}

// rules returns the cases that apply to a harness.
func rules(h *Harness) []rule {
	all := append(openRules(h), sendRules(h)...)
	all = append(all, capabilityRules()...)
	all = append(all, wrappedRules(h)...)
	all = append(all, answerRules(h)...)
	if h.HTTP != nil {
		all = append(all, httpRules()...)
		all = append(all, misbehaviourRules()...)
	}
	return all
}
