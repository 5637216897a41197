// Command webhooks helps both sides of a webhook: those who receive and ask why a request is
// refused, and those who send and ask what became of a delivery.
//
//	go install github.com/mixpeek/webhooks-go/webhook/cmd/webhooks@latest
//
// "webhooks help" lists the commands, and "webhooks help verify" explains one, with an example.
//
// # Configuration
//
// Flags come first, then the environment:
//
//	WEBHOOKS_URL             the address of the management API (--url)
//	WEBHOOKS_API_KEY         the API key (--key-file)
//	WEBHOOKS_SIGNING_SECRET  signing secrets: whsec_, whsk_ or whpk_ (--secret-file)
//	WEBHOOKS_STATIC_SECRET   the secret that requests carry in a header (--static-secret-file)
//	NO_COLOR                 no colours, whatever its value
//
// A secret is never an argument, because every user of the machine can read those, and shells keep
// them. It comes from the environment or a file; the file - is the standard input.
//
// # Output
//
// Answers go to the standard output, everything else to the standard error: problems with their
// remedy, hints, and progress, which is shown on a terminal only. With --json an answer is an
// object on a line of its own, and a list is one such line for each element. Control characters
// that strangers wrote are shown as escapes.
//
// # Exit codes
//
//	0    it worked, and what was checked is right
//	1    what was checked is wrong, or the API refused the request
//	2    the command was called wrongly: a flag, a file, a setting
//	3    no answer, or the API is overloaded or fails: try again later
//	4    the API key is missing or wrong, or does not allow the request
//	130  interrupted, with ctrl-C or SIGTERM
//
// A program that writes to a pipe whose reader has gone, such as head, is ended by SIGPIPE without
// a word, as others are; shells show that as 141.
//
// # What is where
//
//   - main.go, run.go: signals, finding the command, errors and exit codes
//   - command.go, help.go, completion.go: the list of commands and what follows from it
//   - flags.go, secrets.go, connect.go: flags and settings that commands share
//   - output.go: text, JSON, colours, progress
//   - sign.go, secret.go, suite.go, template.go, list.go, trigger.go, doctor.go, version.go: the
//     commands of these names
//   - pause.go: pause and resume webhooks
//   - deliveries.go, replay.go: list, show, tail and export; replay, cancel and skip
//   - replays.go: list, show and stop replays of many deliveries, and watch one
//   - endpoints.go: list, show, enable and disable endpoints
//   - keys.go: list, create and revoke API keys
//   - listen.go, forward.go, tail.go: the command listen; the requests of a channel to another URL;
//     where a tail begins
//   - verify.go, request.go, candidates.go, mismatch.go, diagnose.go: the command verify; reading the
//     request, what it may have been signed with, and why it does not match
package main
