// Package template renders the templates of subscribers: Jinja2, run by pongo2, with everything
// bounded that a stranger's template could cost.
//
// There are three kinds, each compiled once and then rendered any number of times, concurrently:
//
//   - [Compile] a text: subjects, bodies, messages. [Options.Format] says what values are escaped for.
//   - [CompileObject] a JSON object whose strings are templates, such as a payload_template. Values keep their types, and
//     no value can break the JSON or add to it.
//   - [CompileJSON] a text whose result must be JSON, such as Slack blocks. Values are escaped for JSON and for the format.
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
// running the tree, and what is inside the tags is ours:
//
//	scan.go                       cuts the source at its delimiters
//	pongo_source.go               checks that blocks nest, and writes the source for pongo2
//	engine.go                     the table of tags, and the border to pongo2
//	tags_*.go, loop.go            what the tags do
//	lexer.go, parse*.go           expressions, from text to tree
//	eval*.go, params.go           evaluating the tree
//	value.go, dict.go, iterate.go the values of templates, which behave as Python's
//	access.go, arithmetic.go, compare.go, str_repr.go, strings.go
//	                              what operators do with them
//	filters*.go, jinja_tests.go, methods*.go, globals.go
//	                              tables of everything that has a name
//	library*.go, ready_*.go       filters and functions beyond Jinja2
//	format.go, format_html.go, format_markdown.go, json_output.go
//	                              what values are escaped for
//	format_braces.go, format_percent.go, format_number.go
//	                              '%5.2f' and '{:>8}'
//	misspelt.go                   names of variables that are most likely slips
//	limits.go, state.go           what one render uses
//
// The tags are registered with pongo2 when the process starts, under names with a prefix of their
// own: pongo2 does not synchronize its registry, so nothing may be registered once a program can
// compile templates of pongo2. Nothing else of pongo2 is changed for others, and what a program
// replaces in pongo2 or bans there changes nothing here.
package template
