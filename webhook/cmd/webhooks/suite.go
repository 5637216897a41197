package main

import (
	"context"
	"encoding/xml"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/receiver/receivertest"
)

var suiteCommand = command{
	name: "suite", args: "URL", short: "Test a receiver in any language at its URL",
	long: `
Sends what good, clumsy and hostile senders send, and says which of the rules
for receivers it breaks. It takes about --read-timeout plus two seconds. Test
the receiver itself, not a proxy before it, and not in production: its handler
gets events of the namespace receivertest.

Rules that need something of the receiver's inside, such as a handler that fails
on demand, are tried by receivertest.Run in a Go test.`,
	example: `
webhooks suite --secret-file secret http://127.0.0.1:8081/webhooks
webhooks suite --secret-file secret --junit http://127.0.0.1:8081/ > report.xml`,
	setup: func(s *flagSet) action {
		var o suiteOptions
		o.declare(s)
		s.StringVar(&o.others, "other-secret-file", "",
			"`file` with further signing secrets that the receiver accepts")
		s.StringVar(&o.retired, "retired-secret-file", "",
			"`file` with signing secrets that it no longer accepts")
		s.StringVar(&o.options.EventType, "event-type", "", "`type` of event that it has a handler for "+
			"(default object.created)")
		s.Int64Var(&o.options.MaxBody, "max-body", 0, "its limit for a body in `bytes` (default 1 MiB)")
		s.Int64Var(&o.options.MaxDecoded, "max-decoded", 0, "its limit in `bytes` for a body with gzip, "+
			"decompressed (default: it accepts none)")
		s.DurationVar(&o.options.ReadTimeout, "read-timeout", 0, "how long it waits for a body "+
			"(default: not tried)")
		s.DurationVar(&o.options.Timeout, "timeout", receivertest.DefaultTimeout, "how long the run may take")
		s.Var(&o.except, "except", "`rule` that is not tried; may be repeated")
		s.BoolVar(&o.junit, "junit", false, "print JUnit's XML")
		return func(ctx context.Context, a *app, args []string) error { return a.suite(ctx, o, args[0]) }
	},
}

type suiteOptions struct {
	credentials
	others, retired string
	options         receivertest.Options
	except          listValue
	junit           bool
}

// The results of a rule.
const (
	resultKept     = "kept"
	resultBroken   = "broken"
	resultNotTried = "not_tried"
)

// ruleResult is a line of the answer of "suite" as JSON.
type ruleResult struct {
	Rule   string `json:"rule"`
	Result string `json:"result"`
	// Detail says how the rule was broken, or why it was not tried.
	Detail string `json:"detail,omitempty"`
	// Why is the rule.
	Why     string  `json:"why"`
	Seconds float64 `json:"seconds"`
}

// flagNames has the flags that set what the suite misses.
var flagNames = strings.NewReplacer(
	"Options.Secret", "--static-secret-file", "Options.Signer", "--secret-file",
	"Options.Others", "--other-secret-file", "Options.Retired", "--retired-secret-file",
	"Options.ReadTimeout", "--read-timeout", "Options.Timeout", "--timeout", "Options.Except", "--except",
	"Except[", "--except[", "MaxBody", "--max-body", "MaxDecoded", "--max-decoded",
	"ReadTimeout:", "--read-timeout:", "Timeout:", "--timeout:",
	"Options.Hold", "receivertest.Run", "Options.Fail", "receivertest.Run",
)

func (a *app) suite(ctx context.Context, o suiteOptions, target string) error {
	if err := a.suiteCredentials(&o); err != nil {
		return err
	}
	o.options.Except = o.except
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		results     []ruleResult
		unreachable *url.Error
		began       = time.Now()
		last        = began
		outputError error
	)
	o.options.Tried = func(r receivertest.Result) {
		if len(results) == 0 && errors.As(r.Err, &unreachable) {
			cancel() // no other rule would get an answer
		}
		if ctx.Err() != nil {
			return
		}
		result := describe(r)
		result.Seconds = time.Since(last).Round(time.Millisecond).Seconds()
		last = time.Now()
		results = append(results, result)
		if outputError == nil {
			if outputError = a.printRule(o, result); outputError != nil {
				cancel()
			}
		}
		a.progressf("%d rules tried, %s", len(results), short(time.Since(began)))
	}
	_, err := receivertest.Verify(ctx, target, o.options)
	switch {
	case err != nil:
		return usagef("%s", flagNames.Replace(err.Error()))
	case unreachable != nil:
		return &hintError{unreachable, "Is the receiver running, and is the address right?", exitUnreachable}
	case outputError != nil:
		return outputError
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return a.suiteSummary(o, target, results)
}

func (a *app) suiteCredentials(o *suiteOptions) error {
	keys, err := o.keys(a)
	if err != nil {
		return err
	}
	if o.options.Secret, err = o.static(a); err != nil {
		return err
	}
	if len(keys) == 0 && o.options.Secret == "" {
		return noSecret()
	}
	o.options.SecretHeader = o.staticHeader
	if len(keys) > 0 {
		if o.options.Signer, err = signature.NewSigner(keys...); err != nil {
			return usagef("the signing secrets: %v", err)
		}
	}
	if o.options.Others, err = a.furtherCredentials(o, o.others); err != nil {
		return err
	}
	o.options.Retired, err = a.furtherCredentials(o, o.retired)
	return err
}

// furtherCredentials returns one for each signing secret of a file.
func (a *app) furtherCredentials(o *suiteOptions, file string) ([]receivertest.Credentials, error) {
	if file == "" {
		return nil, nil
	}
	// The environment has the first secrets, not these.
	keys, err := (&credentials{secretFile: file}).keys(a)
	if err != nil {
		return nil, err
	}
	var all []receivertest.Credentials
	for _, key := range keys {
		signer, err := signature.NewSigner(key)
		if err != nil {
			return nil, usagef("%s: %v", file, err)
		}
		c := o.options.Credentials
		c.Signer = signer
		all = append(all, c)
	}
	return all, nil
}

func describe(r receivertest.Result) ruleResult {
	out := ruleResult{Rule: r.Rule.Name, Result: resultKept, Why: r.Rule.Why}
	switch {
	case r.NotTried != "":
		out.Result, out.Detail = resultNotTried, flagNames.Replace(r.NotTried)
	case r.Err != nil:
		out.Result, out.Detail = resultBroken, flagNames.Replace(r.Err.Error())
	}
	return out
}

// printRule prints a result as soon as it is there, except in XML, which has totals before it.
func (a *app) printRule(o suiteOptions, r ruleResult) error {
	switch {
	case o.junit:
		return nil
	case a.json:
		if err := a.object(r); err != nil {
			return err
		}
		return a.flush()
	case r.Result == resultKept:
		a.printf("%s       %s\n", a.green(a.stdout, "kept"), r.Rule)
	case r.Result == resultNotTried:
		a.printf("not tried  %s (%s)\n", r.Rule, r.Detail)
	default:
		a.printf("%s     %s: %s\n%s\n", a.red(a.stdout, "BROKEN"), r.Rule, visible(r.Detail),
			wrap("           the rule: ", r.Why))
	}
	return a.flush()
}

// suiteSummary prints the totals. It returns errNo if a rule is broken.
func (a *app) suiteSummary(o suiteOptions, target string, results []ruleResult) error {
	count := map[string]int{}
	for _, r := range results {
		count[r.Result]++
	}
	switch {
	case o.junit:
		if err := a.junit(target, results, count); err != nil {
			return err
		}
	case !a.json:
		a.printf("\n%d kept, %d broken, %d not tried\n", count[resultKept], count[resultBroken],
			count[resultNotTried])
	}
	if count[resultBroken] > 0 {
		if results[0].Result == resultBroken {
			a.notef("The receiver does not accept what is right, so the rest says little. Has it the same " +
				"secret?\n")
		}
		return errNo
	}
	return nil
}

// The elements of JUnit's XML that its readers agree on.
type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Seconds float64       `xml:"time,attr"`
	Failure *junitMessage `xml:"failure"`
	Skipped *junitMessage `xml:"skipped"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func (a *app) junit(target string, results []ruleResult, count map[string]int) error {
	suite := junitSuite{Name: target, Tests: len(results), Failures: count[resultBroken],
		Skipped: count[resultNotTried]}
	for _, r := range results {
		c := junitCase{Class: "webhooks.suite", Name: r.Rule, Seconds: r.Seconds}
		switch r.Result {
		case resultBroken:
			c.Failure = &junitMessage{visible(r.Detail), "the rule: " + r.Why}
		case resultNotTried:
			c.Skipped = &junitMessage{Message: r.Detail}
		}
		suite.Cases = append(suite.Cases, c)
	}
	a.printf("%s", xml.Header)
	e := xml.NewEncoder(a.out)
	e.Indent("", "  ")
	if err := e.Encode(suite); err != nil {
		return err
	}
	a.printf("\n")
	return nil
}
