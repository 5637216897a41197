// Package conformance checks the management API with a validator of OpenAPI documents: what the
// API accepts and answers fits both versions of the published contract (testdata) and the API's
// own document.
//
// It has tests only. It is a module of its own so that programs that import package api do not
// get the validator.
//
// # What is where
//
//   - contract_test.go: the API against both versions of the contract
//   - own_test.go: the API's own document, and the contract as a part of it
//   - clients_test.go, sdk_test.go: clients that were generated from the documents
//   - document_test.go, fixture_test.go: reading a document; the API under test
package conformance
