// Package builtin has everything of Jinja2 that has a name and works with values, apart from tags:
// filters, tests, methods and global functions. It also has the ready-made filters and functions
// that a service can switch on, and calls those of the service itself.
//
// # What is where
//
//	names.go                    all names of Jinja2 together
//	filters*.go, urlize.go, wordwrap.go
//	                            x|name
//	jinja_tests.go              x is name
//	methods_*.go                x.name()
//	globals.go                  name()
//	ready.go, ready_*.go        what a service can switch on: dates, patterns, JSON, hashes, …
//	service.go, service_values.go
//	                            filters and functions of the service, and copies of values for them
package builtin
