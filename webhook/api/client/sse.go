package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"golang.org/x/net/http/httpguts"
)

// maxEvent is how many bytes an event of a stream may have. An envelope has 1 MiB at most.
const maxEvent = 16 << 20

var errLongEvent = errors.New("client: an event of the stream is too long")

// parse reads events in the format of the HTML standard, section "Server-sent events", and calls
// handle with the data of each. It keeps the id of the last one, which handle has taken.
func (s *streamReader) parse(from io.Reader, handle func(data []byte) error) error {
	lines := bufio.NewReaderSize(from, 64<<10)
	var data, line []byte
	id, hasData := s.lastID, false
	for {
		part, err := lines.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line)+len(data) > maxEvent:
			return &permanentError{errLongEvent}
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil: // what is left has not come as a whole
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		name, value, _ := bytes.Cut(line, []byte{':'})
		value = bytes.TrimPrefix(value, []byte{' '})
		switch {
		case len(line) == 0:
			if hasData {
				if err := handle(data); err != nil {
					return err
				}
			}
			s.lastID, data, hasData = id, data[:0], false
		case string(name) == "id" && httpguts.ValidHeaderFieldValue(string(value)):
			id = string(value) // a header of the next request
		case string(name) == "data":
			if hasData {
				data = append(data, '\n')
			}
			data, hasData = append(data, value...), true
		}
		line = line[:0]
	}
}
