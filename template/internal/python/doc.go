// Package python has the values that templates work with, which behave as Python's, and what
// operators do with them.
//
// In Go the values are
//
//	nil, bool, int64, float64      None and the numbers
//	BigInt                         an integer of the data beyond 64 bits
//	string, Markup                 text; markup is text that need not be escaped
//	*List, *Tuple, *Dict           what templates create
//	[]any, map[string]any          lists and objects of the data, shared and never written to;
//	                               Wrap makes *List or *Dict
//	*Range, *View, *Generator, *Undefined, and what is Callable
//	what implements the interfaces of object.go
//
// A [State] is what one render has at hand. Everything whose cost depends on the template or its
// data takes one, and asks its [Budget] before it does the work.
//
// # What is where
//
//	state.go, budget.go           State, and what one render has used of its limits
//	value.go, dict.go, object.go  the types of values, truth, length
//	safety.go                     how safe a text is: where it can stand without being escaped
//	data_values.go                values of Go that stand in the data
//	access.go                     x.name, x[key], x[low:high]
//	arithmetic.go, compare.go     the operators
//	iterate.go                    iterators and generators
//	str_repr.go                   str(), repr(), ascii()
//	strings.go, numbers.go        Python's functions on text; numbers in text
//	format_percent.go, format_braces.go, format_number.go
//	                              '%5.2f' and '{:>8}'
//	filler.go                     how values are put into markup
//	json_encode.go, json_decode.go values to JSON, and JSON to values in its order
//	json_parts.go                 what a part of a JSON text is
//	names.go, methods.go, callable.go, params.go
//	                              what has a name and is called: filters, tests, methods, functions,
//	                              and how arguments find their parameters
package python
