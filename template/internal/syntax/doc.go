// Package syntax cuts templates into pieces: the source into text and tags, and the inside of a tag
// into the tokens of Jinja2's expressions. Strings, numbers and names are written as in Python.
//
// # What is where
//
//	scan.go    the source, with white space control, comments and raw blocks
//	lexer.go   the tokens inside a tag
package syntax
