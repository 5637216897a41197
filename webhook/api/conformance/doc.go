// Package conformance holds the management API against OpenAPI documents with
// a validator library: what the API takes and answers against both versions of
// the published contract (testdata) and against the API's own document.
//
// It has tests only, and is a module of its own so that no program that imports
// package api carries the validator.
package conformance
