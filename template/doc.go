// Package template renders the Jinja2 templates of subscribers, with limits on the time and memory
// that a template can use.
//
// There are three kinds, each compiled once and then rendered any number of times, concurrently:
//
//   - [Compile] compiles a text: a subject, a body, a message. [Options.Format] says what values
//     are escaped for.
//   - [CompileObject] compiles a JSON object whose strings are templates, such as a
//     payload_template. Values keep their types, and no value can break the JSON or add to it.
//   - [CompileJSON] compiles a text whose result must be JSON, such as Slack blocks. Values are
//     escaped for JSON and for the format.
//
// [Data] returns the variables for an event. [Preview] compiles a template and renders it for an
// event in one call.
//
//	t, err := template.Compile("{{ event_type }}: {{ subject.id|upper }}", template.Options{})
//	…
//	text, err := t.Render(ctx, template.Data(event))
//
// The language is listed in SYNTAX.md, with what is left out and where results differ from
// Jinja2's.
//
// A service that embeds this package can give templates filters and functions of its own, and
// switch on ready ones for dates, regular expressions, JSON, base64, hashes and URLs: see
// [NewLibrary].
//
// # Errors
//
// errors.Is matches an error with one of the Err variables, and errors.As finds an [*Error] with
// the place. Every kind of mistake that can be found without data is an error of compiling, so that
// a subscription with a broken template is never accepted. No error contains a rendered value,
// because that is the sender's data.
//
// # Safety
//
// A template can read its data and nothing else: no file, no other template, no method of a Go
// value, no attribute with underscores. The data is only read. [Limits] bound the source, nesting,
// work, output, ranges and memory, each with an error of its own. With the default Limits, a render
// that exceeds one of them ends with an error after at most 100 ms of processor time and 64 MiB of
// memory, because all work is charged before it is done. If the context ends, the render ends
// within 10 ms. Neither promise covers the time and memory that the Call of a [Func] takes. A
// [Gate] bounds how many renders run at once.
//
// # How it is made
//
// The package uses pongo2 only to match blocks and to run the tree. It compiles and evaluates what
// is inside the tags itself, because pongo2 implements Django's language, has no limits, and keeps
// tags, filters and escaping in global registries.
//
// The tags are registered with pongo2 when the process starts, under names with a prefix of their
// own: pongo2's registry has no lock, so nothing may be registered once a program can compile
// templates of pongo2. Nothing else changes for programs that use pongo2 themselves, and what they
// replace in pongo2, or ban there, changes nothing here.
//
// # What is where
//
//	template.go           Options, and templates of texts
//	object_template.go    templates whose strings are templates
//	json.go               templates whose result is JSON
//	format.go             what values are escaped for
//	library.go            filters and functions beyond Jinja2
//	limits.go, gate.go    what one template may cost, and how many renders run at once
//	data.go, data_order.go
//	                      the variables of an event
//	preview.go            compiling and rendering in one call
//	misspelt.go           names of variables that are probably misspelt
//	errors.go             the errors
//
//	internal/eval         tags and expressions: compiling and running them, with pongo2
//	internal/builtin      filters, tests, methods and functions
//	internal/syntax       scanner and lexer
//	internal/python       values, which behave as Python's, and the budget of a render
//	internal/escaping     values inside HTML, Markdown and Slack's markup
//	internal/fault        errors, before they are the package's own
//
// Each of the internal packages uses only those below it in this list.
package template
