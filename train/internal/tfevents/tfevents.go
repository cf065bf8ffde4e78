// Package tfevents writes the event files that TensorBoard shows: scalars by step.
//
// A file is a sequence of records, each an Event message of protocol buffers. Both forms are small and are
// written here by hand: the record's framing as TensorFlow's core/lib/io/record_writer.cc has it, the messages
// as tensorboard/compat/proto/event.proto and summary.proto define them.
package tfevents

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"
)

// A Writer appends to one event file. It buffers nothing.
type Writer struct {
	file   *os.File
	record []byte // of the last call, for its memory
}

// A Scalar is one value of a step.
type Scalar struct {
	Tag   string
	Value float64 // written as a float32
}

// Create begins a new event file in dir, which is made if need be. What earlier files of dir hold of the step
// from and later ones is declared void, as after a restart from a checkpoint.
func Create(dir string, now time.Time, from int) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	var file *os.File
	for n := 0; file == nil; n++ { // a session may be resumed within the second
		path := filepath.Join(dir, fmt.Sprintf("events.out.tfevents.%010d.hone.%d", now.Unix(), n))
		var err error
		file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	w := &Writer{file: file}
	err := w.write(appendBytes(appendEvent(nil, now, 0), eventFileVersion, []byte("brain.Event:2")))
	if err == nil {
		start := appendVarint(nil, sessionStatus, sessionStart)
		err = w.write(appendBytes(appendEvent(nil, now, from), eventSessionLog, start))
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return w, nil
}

// Scalars adds an event with the values of a step.
func (w *Writer) Scalars(now time.Time, step int, scalars ...Scalar) error {
	var summary []byte
	for _, s := range scalars {
		value := appendBytes(nil, valueTag, []byte(s.Tag))
		value = binary.LittleEndian.AppendUint32(append(value, valueSimple<<3|wireFixed32), math.Float32bits(float32(s.Value)))
		summary = appendBytes(summary, summaryValue, value)
	}
	return w.write(appendBytes(appendEvent(nil, now, step), eventSummary, summary))
}

// Close closes the file.
func (w *Writer) Close() error { return w.file.Close() }

// write adds a record: the length of data and its checksum, data and its checksum.
func (w *Writer) write(data []byte) error {
	b := binary.LittleEndian.AppendUint64(w.record[:0], uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(b))
	b = append(b, data...)
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(data))
	w.record = b
	_, err := w.file.Write(b)
	return err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is a CRC-32C that may itself be part of what a CRC is taken of: crc32c::Mask of
// tensorflow/core/lib/hash/crc32c.h.
func maskedCRC(data []byte) uint32 {
	crc := crc32.Checksum(data, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}

// Numbers of fields, by message.
const (
	eventWallTime    = 1 // double
	eventStep        = 2 // int64
	eventFileVersion = 3
	eventSummary     = 5
	eventSessionLog  = 7

	summaryValue = 1
	valueTag     = 1
	valueSimple  = 2 // float

	sessionStatus = 1
	sessionStart  = 1 // the value of START
)

// Wire types of protocol buffers.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// appendEvent begins an Event; a step of 0 is the default and not written.
func appendEvent(b []byte, now time.Time, step int) []byte {
	b = append(b, eventWallTime<<3|wireFixed64)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(now.UnixMicro())/1e6))
	if step != 0 {
		b = appendVarint(b, eventStep, uint64(step))
	}
	return b
}

func appendVarint(b []byte, field int, v uint64) []byte {
	return binary.AppendUvarint(append(b, byte(field<<3|wireVarint)), v)
}

func appendBytes(b []byte, field int, v []byte) []byte {
	b = binary.AppendUvarint(append(b, byte(field<<3|wireBytes)), uint64(len(v)))
	return append(b, v...)
}
