package jsontext

import (
	"bytes"
	"encoding/json"
)

// Indent writes JSON over several lines for people to read, as json.Indent does, each level indented
// by step. JSON that would become longer than four times raw and 64 KiB is returned as it is: on
// lines of their own, elements that are nested 10,000 deep become 10,000 times as long. The error
// is that of json.Indent, for what is not JSON.
func Indent(raw []byte, step string) ([]byte, error) {
	limit := 4*len(raw) + 64<<10
	size := indentedSize(raw, len(step), limit)
	if size > limit {
		return raw, json.Unmarshal(raw, new(json.RawMessage))
	}
	var b bytes.Buffer
	b.Grow(size)
	if err := json.Indent(&b, raw, "", step); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// indentedSize returns how long JSON is when it is indented, or more than limit if it is longer than
// that.
func indentedSize(raw []byte, step, limit int) int {
	size, depth := 0, 0
	opened := false // the last token has opened an array or object, which may be empty
	for i := 0; i < len(raw) && size <= limit; i++ {
		c := raw[i]
		switch c {
		case ' ', '\t', '\n', '\r':
			continue
		case ']', '}':
			if !opened {
				depth = max(depth-1, 0)
				size += 1 + depth*step
			}
			opened = false
			size++
			continue
		}
		if opened {
			depth++
			size += 1 + depth*step
		}
		opened = c == '[' || c == '{'
		switch c {
		case ',':
			size += 1 + depth*step
		case ':':
			size++
		case '"':
			begin := i
			for i++; i < len(raw) && raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
			size += i - begin
		}
		size++
	}
	return size
}
