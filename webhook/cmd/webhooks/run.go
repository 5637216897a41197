package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

// The exit codes: see the package's documentation.
const (
	exitOK          = 0
	exitNo          = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitForbidden   = 4
	exitInterrupted = 130
)

// app is one call of the program.
type app struct {
	*printer
	stdin  io.Reader
	getenv func(string) string
	// usesStdin names the flag or argument that reads the standard input, which is there once.
	usesStdin string
}

// run is the whole program but for signals. args do not have the program's name.
func run(
	ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer,
	getenv func(string) string,
) int {
	a := &app{printer: newPrinter(stdout, stderr, getenv), stdin: stdin, getenv: getenv}
	err := a.dispatch(ctx, args)
	if writeErr := a.flush(); err == nil && writeErr != nil {
		err = fmt.Errorf("writing the output: %w", writeErr)
	}
	code, text, remedy := explain(ctx, err)
	if text != "" {
		a.notef("%s %s\n", a.red(a.stderr, "webhooks:"), visible(text))
	}
	if remedy != "" {
		a.notef("%s\n", remedy)
	}
	return code
}

// dispatch finds the command and runs it.
func (a *app) dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return usagef("no command: %q lists them", "webhooks help")
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		return a.help(args[1:])
	case "-version", "--version":
		return a.version()
	case "__complete":
		return a.complete(args[1:])
	}
	c, rest := find(args)
	if c == nil {
		return usagef("no command %q: %q lists them", strings.Join(args[:min(2, len(args))], " "),
			"webhooks help")
	}
	set := newFlagSet(c.name)
	action := c.setup(set)
	positional, err := set.parse(rest)
	if errors.Is(err, flag.ErrHelp) {
		return a.help(strings.Fields(c.name))
	}
	if err == nil {
		err = c.checkCount(positional)
	}
	if err != nil {
		return &usageError{err.Error(), c.name}
	}
	a.json = set.json
	return action(ctx, a, positional)
}

// usageError is a command that was called wrongly.
type usageError struct{ text, command string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...)}
}

// errNo is a check that failed and whose result was printed already.
var errNo = errors.New("no")

// hintError is an error with its remedy.
type hintError struct {
	err    error
	remedy string
	code   int
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// explain returns the exit code of an error, its text and the remedy.
func explain(ctx context.Context, err error) (code int, text, remedy string) {
	var (
		usage  *usageError
		hint   *hintError
		answer *client.Error
		bad    *event.ValidationError
		noHTTP *url.Error
		noJSON *json.SyntaxError
	)
	switch {
	case err == nil:
		return exitOK, "", ""
	case ctx.Err() != nil:
		return exitInterrupted, "interrupted", ""
	case errors.Is(err, errNo):
		return exitNo, "", ""
	case errors.As(err, &hint):
		return hint.code, err.Error(), hint.remedy
	case errors.As(err, &usage):
		if usage.command != "" {
			remedy = fmt.Sprintf("%q explains the command.", "webhooks help "+usage.command)
		}
		return exitUsage, usage.text, remedy
	case errors.As(err, &answer):
		return explainAnswer(answer)
	case errors.As(err, &noHTTP):
		return exitUnreachable, err.Error(),
			"Is the address right, and can this machine reach it? It comes from --url or WEBHOOKS_URL."
	case errors.As(err, &noJSON):
		return exitNo, err.Error(), remedyPath
	case errors.As(err, &bad):
		return exitUsage, err.Error(), ""
	}
	return exitNo, err.Error(), ""
}

// noteUnknown writes a note if the error of a call leaves open whether it has taken effect: the
// answer was lost, or is that of a failure.
func (a *app) noteUnknown(err error, format string, args ...any) {
	var answer *client.Error
	switch {
	case err == nil, notSent(err):
	case errors.As(err, &answer) && answer.StatusCode < 500 &&
		answer.StatusCode != http.StatusRequestTimeout:
	default:
		a.notef(format, args...)
	}
}

// notSent reports whether the error of a call says that no request has left: it could not be encoded,
// or there was no connection to send it on.
func notSent(err error) bool {
	var (
		encoding    *json.MarshalerError
		certificate *tls.CertificateVerificationError
		network     *net.OpError
	)
	return errors.As(err, &encoding) || errors.As(err, &certificate) ||
		errors.Is(err, http.ErrSchemeMismatch) ||
		errors.As(err, &network) && (network.Op == "dial" || network.Op == "proxyconnect")
}

const remedyPath = "This is no answer of the API: check the path of --url or WEBHOOKS_URL, which is " +
	"that of the list of webhooks."

// explainAnswer explains an error with which the API answered.
func explainAnswer(e *client.Error) (code int, text, remedy string) {
	text = "the API answered " + strings.TrimPrefix(e.Error(), "client: ")
	switch {
	case e.StatusCode == http.StatusUnauthorized:
		return exitForbidden, text,
			"Put a valid API key into WEBHOOKS_API_KEY, or its file into --key-file."
	case e.StatusCode == http.StatusForbidden:
		return exitForbidden, text, ""
	case e.Retryable():
		remedy = "Try again later."
		if e.RetryAfter > 0 {
			remedy = fmt.Sprintf("Try again in %v.", e.RetryAfter.Round(time.Second))
		}
		return exitUnreachable, text, remedy
	case e.StatusCode/100 == 3:
		return exitNo, text, "Nothing was changed. Give the address that it redirects to, with --url or " +
			"WEBHOOKS_URL."
	case e.StatusCode == http.StatusNotFound && len(e.Details) == 0: // no id is missing
		return exitNo, text, remedyPath
	}
	return exitNo, text, ""
}
