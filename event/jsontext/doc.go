// Package jsontext has what this module needs of JSON and encoding/json does not offer: a strict
// reader of one text, and a writer of strings.
//
// [Reader] reads a text in a single pass, without reflection. Unlike encoding/json it limits the
// depth to what its caller allows, tells its caller about every name, in the order of the input, so
// that names that occur twice can be refused, returns unknown values byte for byte, and reports the
// offset and the path of what is wrong. It accepts exactly the syntax that encoding/json accepts.
//
// [AppendString] writes a string without the copies of json.Marshal.
//
// It is no replacement of encoding/json: nothing here decodes into structs, reads from an
// io.Reader, or writes anything but strings. It shares no code with encoding/json/jsontext of the
// standard library, which is experimental in the versions of Go that this module supports.
//
// # What is where
//
//   - reader.go: Reader, and ValidNumber
//   - error.go: the errors of a Reader
//   - append.go: AppendString
package jsontext
