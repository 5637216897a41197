// Package jsontext reads JSON strictly and writes JSON strings, where encoding/json is too lenient
// or too slow.
//
// [Reader] reads a text in a single pass, without reflection. It accepts exactly the syntax that
// encoding/json accepts. Unlike encoding/json, it
//
//   - limits the depth to what its caller allows,
//   - tells its caller about every name, in the order of the input, so that the caller can refuse
//     names that occur twice,
//   - returns unknown values byte for byte,
//   - reports the offset and the path of a mistake.
//
// [AppendString] writes a string without the copies of json.Marshal.
//
// [Indent] writes a text over several lines, and bounds how long that may become.
//
// It does not replace encoding/json: nothing here decodes into structs, reads from an io.Reader, or
// encodes anything but strings. It shares no code with encoding/json/jsontext of the standard
// library, which is experimental in the versions of Go that this module supports.
//
// # What is where
//
//   - reader.go: Reader, and ValidNumber
//   - error.go: the errors of a Reader
//   - append.go: AppendString
//   - indent.go: Indent
package jsontext
