// Package eval compiles templates and runs them: the tags, the expressions inside them, and the
// output. pongo2 matches the blocks and runs the tree of tags.
//
// # What is where
//
//	compile.go                  what package template calls for texts and JSON
//	object.go                   the same for objects whose strings are templates
//	pongo_source.go             checks that blocks nest, and writes the source for pongo2
//	engine.go                   the table of tags, and the border to pongo2
//	tags_*.go, loop.go          what the tags do
//	parse*.go                   expressions, from tokens to a tree
//	expressions.go, operators.go, calls.go
//	                            the nodes of the tree, and what they evaluate to
//	hidden_names.go             names whose data a template hides
//	rendering.go                one run of a template, with its variables
//	output.go, json_output.go   what a run writes
package eval
