package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
)

// A journal is a file of JSON Lines that a run appends to as it goes, so that the next run takes up where
// this one was cut off, at whatever moment. It may be written by several goroutines.
type journal struct {
	mu   sync.Mutex
	file *os.File
	err  error // the first of writing
}

// openJournal opens the file, or makes it, and hands every whole line that it holds to take. A last line
// that was cut off is dropped.
func openJournal(path string, take func(line []byte) error) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	whole, err := readJournal(f, path, take)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &journal{file: f}, nil
}

// readJournal returns how many bytes the whole lines are.
func readJournal(r io.Reader, path string, take func([]byte) error) (whole int64, err error) {
	raw, err := io.ReadAll(r)
	if err != nil {
		return 0, err
	}
	number := 0
	for line := range bytes.Lines(raw) {
		number++
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		if len(bytes.TrimSpace(line)) > 0 {
			if err := take(line); err != nil {
				return 0, fmt.Errorf("%s:%d: %w", path, number, err)
			}
		}
		whole += int64(len(line))
	}
	return whole, nil
}

// add appends a value as a line, at once. The first error stays, see done.
func (j *journal) add(v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err == nil && j.err == nil {
		_, err = j.file.Write(b.Bytes()) // one write: a line is cut off at most, never mixed with another
	}
	if j.err == nil {
		j.err = err
	}
}

// failed is the first error of add.
func (j *journal) failed() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// done closes the file and tells what went wrong with it.
func (j *journal) done() error {
	err := j.file.Close()
	if first := j.failed(); first != nil {
		return first
	}
	return err
}
