package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
)

// rawFile keeps everything that was measured, one JSON object per line. The
// first line names the machine; durations are in nanoseconds.
type rawFile struct {
	file   *os.File
	buffer *bufio.Writer
}

// createRaw creates the file; without a name, what is written goes nowhere.
func createRaw(name string) (*rawFile, error) {
	if name == "" {
		return &rawFile{}, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	return &rawFile{file: f, buffer: bufio.NewWriter(f)}, nil
}

func (r *rawFile) write(v any) error {
	if r.file == nil {
		return nil
	}
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = r.buffer.Write(append(line, '\n'))
	return err
}

func (r *rawFile) close() error {
	if r.file == nil {
		return nil
	}
	return errors.Join(r.buffer.Flush(), r.file.Close())
}
