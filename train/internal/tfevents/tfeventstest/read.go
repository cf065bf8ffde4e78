// Package tfeventstest reads event files, for tests.
package tfeventstest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// An Event is what a record holds.
type Event struct {
	WallTime    float64
	Step        int
	FileVersion string
	Start       bool // of a session: events of this step on, in earlier files, are void
	Scalars     map[string]float32
}

// Read reads a file. A record whose length, checksums or fields are wrong is an error that tells its offset.
func Read(path string) ([]Event, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var events []Event
	for at := 0; at < len(data); {
		rest := data[at:]
		if len(rest) < 16 {
			return events, fmt.Errorf("offset %d: %d bytes are no record", at, len(rest))
		}
		n := binary.LittleEndian.Uint64(rest)
		if unmask(binary.LittleEndian.Uint32(rest[8:])) != crc(rest[:8]) || n > uint64(len(rest)-16) {
			return events, fmt.Errorf("offset %d: a record of %d bytes", at, n)
		}
		body := rest[12 : 12+n]
		if unmask(binary.LittleEndian.Uint32(rest[12+n:])) != crc(body) {
			return events, fmt.Errorf("offset %d: the checksum of the data is wrong", at)
		}
		e, err := event(body)
		if err != nil {
			return events, fmt.Errorf("offset %d: %w", at, err)
		}
		events = append(events, e)
		at += 16 + int(n)
	}
	return events, nil
}

// ReadDir is what TensorBoard shows of a folder: the values of each tag by step, less those that are void.
func ReadDir(dir string) (map[string]map[int]float32, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*tfevents*"))
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	tags := map[string]map[int]float32{}
	for _, path := range paths {
		events, err := Read(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, e := range events {
			for tag, values := range tags {
				for step := range values {
					if e.Start && step >= e.Step {
						delete(tags[tag], step)
					}
				}
			}
			for tag, value := range e.Scalars {
				if tags[tag] == nil {
					tags[tag] = map[int]float32{}
				}
				tags[tag][e.Step] = value
			}
		}
	}
	return tags, nil
}

func crc(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func unmask(masked uint32) uint32 {
	rot := masked - 0xa282ead8
	return rot>>17 | rot<<15
}

// fields calls fn for every field of a message: with the number, for a varint or fixed one, or the bytes.
func fields(b []byte, fn func(field int, number uint64, bytes []byte) error) error {
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return errors.New("a broken key")
		}
		b = b[n:]
		var number uint64
		var bytes []byte
		switch key & 7 {
		case 0:
			if number, n = binary.Uvarint(b); n <= 0 {
				return errors.New("a broken varint")
			}
		case 1:
			if n = 8; len(b) >= n {
				number = binary.LittleEndian.Uint64(b)
			}
		case 2:
			size, m := binary.Uvarint(b)
			if m <= 0 || size > uint64(len(b)-m) {
				return errors.New("a broken length")
			}
			n = m + int(size)
			bytes = b[m:n]
		case 5:
			if n = 4; len(b) >= n {
				number = uint64(binary.LittleEndian.Uint32(b))
			}
		default:
			return fmt.Errorf("wire type %d", key&7)
		}
		if n > len(b) {
			return errors.New("a broken number")
		}
		if err := fn(int(key>>3), number, bytes); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func event(b []byte) (Event, error) {
	var e Event
	err := fields(b, func(field int, number uint64, bytes []byte) error {
		switch field {
		case 1:
			e.WallTime = math.Float64frombits(number)
		case 2:
			e.Step = int(number)
		case 3:
			e.FileVersion = string(bytes)
		case 5:
			e.Scalars = map[string]float32{}
			return fields(bytes, func(_ int, _ uint64, value []byte) error { return scalar(value, e.Scalars) })
		case 7:
			return fields(bytes, func(field int, number uint64, _ []byte) error {
				e.Start = e.Start || field == 1 && number == 1
				return nil
			})
		default:
			return fmt.Errorf("field %d of an event", field)
		}
		return nil
	})
	return e, err
}

func scalar(b []byte, into map[string]float32) error {
	tag, value := "", float32(0)
	err := fields(b, func(field int, number uint64, bytes []byte) error {
		switch field {
		case 1:
			tag = string(bytes)
		case 2:
			value = math.Float32frombits(uint32(number))
		default:
			return fmt.Errorf("field %d of a value", field)
		}
		return nil
	})
	into[tag] = value
	return err
}
