// Package conformance checks the management API with a validator of OpenAPI documents: what the
// API accepts and answers fits both versions of the published contract (testdata) and the API's
// own document.
//
// It has tests only. It is a module of its own so that programs that import package api do not
// get the validator.
package conformance
