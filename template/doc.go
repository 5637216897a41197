// Package template renders the templates of subscribers: Jinja2, run by pongo2, with everything
// bounded that a stranger's template could cost.
//
// There are three kinds, each compiled once and then rendered any number of times, concurrently:
//
//   - [Compile] a text: subjects, bodies, messages. [Options.Format] says what values are escaped
//     for.
//   - [CompileObject] a JSON object whose strings are templates, such as a payload_template. Values
//     keep their types, and no value can break the JSON or add to it.
//   - [CompileJSON] a text whose result must be JSON, such as Slack blocks. Values are escaped for
//     JSON and for the format.
//
// [Data] makes the variables of an event, and [Preview] does all of it at once.
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
// Every error is an [*Error] that wraps one of the Err variables. Compiling finds all mistakes that
// show without data, so that a subscription with a broken template is never accepted. A rendered
// value is the sender's data: no error holds one.
//
// # Safety
//
// A template can read its data and nothing else: no file, no other template, no method of a Go
// value, no attribute with underscores. The data is only read. [Limits] bound the source, nesting,
// work, output, ranges and memory, each with an error of its own; a template that tries to exhaust
// the process ends in one within 100 ms of processor time and 64 MiB, because everything is charged
// before it is done. A context that ends stops a render within 10 ms. A [Gate] bounds how many
// renders run at once.
//
// # How it is made
//
// pongo2 speaks Django's language, not Jinja2's; has no budgets; and keeps tags, filters and
// escaping in registries of the process. So it gets the part that it does well, matching blocks and
// running the tree, and what is inside the tags is ours.
//
// The tags are registered with pongo2 when the process starts, under names with a prefix of their
// own: pongo2 does not synchronize its registry, so nothing may be registered once a program can
// compile templates of pongo2. Nothing else of pongo2 is changed for others, and what a program
// replaces in pongo2 or bans there changes nothing here.
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
//	preview.go            all of it at once
//	misspelt.go           names of variables that are most likely slips
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
