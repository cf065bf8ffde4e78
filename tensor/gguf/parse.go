package gguf

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	magic            = "GGUF"
	headerSize       = 24 // magic, version, two counts
	defaultAlignment = 32
	alignmentKey     = "general.alignment"

	// The fewest bytes that a metadata entry and a tensor's description take, so that a file can claim no
	// more of them than it has room for.
	minEntry  = 8 + 4 + 1
	minTensor = 8 + 4 + 4 + 8
)

// Info describes a tensor in a file.
type Info struct {
	Name   string
	Type   Type
	Shape  []int // the slowest axis first; empty for a scalar
	Size   int64 // bytes
	Offset int64 // where in the file its bytes begin
}

// header is all of a file but its tensors' bytes, with every rule of the format checked.
type header struct {
	version  int
	metadata Metadata
	infos    []Info         // in the order of their bytes
	index    map[string]int // of a name in infos
}

// parser reads a header.
type parser struct {
	data   []byte // the whole file
	at     int
	key    string // the metadata being read, for errors
	tensor string // the tensor being read, for errors
	header
}

// parseHeader reads the header of the file at path, whose content is data. Its errors are FormatErrors.
func parseHeader(path string, data []byte) (*header, error) {
	p := &parser{data: data}
	if err := p.parse(); err != nil {
		return nil, &FormatError{Path: path, Key: p.key, Tensor: p.tensor, Reason: err.Error()}
	}
	return &p.header, nil
}

var order = binary.LittleEndian

func (p *parser) parse() error {
	switch {
	case len(p.data) >= len(magic) && string(p.data[:len(magic)]) != magic:
		return errors.New("it does not begin with GGUF: not a file of this format")
	case len(p.data) < headerSize:
		return fmt.Errorf("%d bytes are too few for a header: the file is truncated; fetch it again", len(p.data))
	}
	version := order.Uint32(p.data[4:])
	switch {
	case version == 1:
		return errors.New("version 1 of the format is not supported: convert the model again with today's llama.cpp, which writes version 3")
	case version&0xffff == 0 && version != 0:
		return errors.New("the file is big-endian, which is not supported: make a little-endian one with gguf-py's gguf_convert_endian.py")
	case version != 2 && version != 3:
		return fmt.Errorf("version %d of the format is not known, only 2 and 3", version)
	}
	p.version = int(version)
	tensors, entries := order.Uint64(p.data[8:]), order.Uint64(p.data[16:])
	p.at = headerSize
	if err := p.room(entries, minEntry, "metadata entries"); err != nil {
		return err
	}
	if err := p.readMetadata(int(entries)); err != nil {
		return err
	}
	alignment, err := p.alignment()
	if err != nil {
		return err
	}
	if err := p.room(tensors, minTensor, "tensors"); err != nil {
		return err
	}
	return p.readTensors(int(tensors), alignment)
}

// room checks that n things of at least size bytes can follow.
func (p *parser) room(n uint64, size int, what string) error {
	if left := len(p.data) - p.at; n > uint64(left/size) {
		return fmt.Errorf("it claims %d %s, but at byte %d only %d bytes follow: the file is truncated or its header wrong; fetch it again",
			n, what, p.at, left)
	}
	return nil
}

// take is the next n bytes.
func (p *parser) take(n uint64) ([]byte, error) {
	if left := len(p.data) - p.at; n > uint64(left) {
		return nil, fmt.Errorf("at byte %d it takes %d bytes, but only %d follow: the file is truncated or its header wrong; fetch it again",
			p.at, n, left)
	}
	b := p.data[p.at : p.at+int(n)]
	p.at += int(n)
	return b, nil
}

func (p *parser) uint32() (uint32, error) {
	b, err := p.take(4)
	if err != nil {
		return 0, err
	}
	return order.Uint32(b), nil
}

func (p *parser) uint64() (uint64, error) {
	b, err := p.take(8)
	if err != nil {
		return 0, err
	}
	return order.Uint64(b), nil
}

// text is the next string's bytes.
func (p *parser) text() ([]byte, error) {
	n, err := p.uint64()
	if err != nil {
		return nil, err
	}
	return p.take(n)
}

// name reads a string that names something.
func (p *parser) name(of string) (string, error) {
	b, err := p.text()
	switch {
	case err != nil:
		return "", fmt.Errorf("the name of %s: %w", of, err)
	case len(b) == 0:
		return "", fmt.Errorf("%s has an empty name", of)
	case !utf8.Valid(b):
		return "", fmt.Errorf("the name of %s, %s, is not UTF-8", of, quote(string(b)))
	}
	return string(b), nil
}

func (p *parser) readMetadata(n int) error {
	seen := make(map[string]bool, n)
	p.metadata = make(Metadata, 0, n)
	for i := range n {
		key, err := p.name(fmt.Sprintf("metadata entry %d of %d", i+1, n))
		if err != nil {
			return err
		}
		p.key = key
		if seen[key] {
			return errors.New("the key occurs twice")
		}
		seen[key] = true
		kind, err := p.uint32()
		if err != nil {
			return err
		}
		value, err := p.value(valueType(kind))
		if err != nil {
			return err
		}
		p.metadata = append(p.metadata, KV{key, value})
	}
	p.key = ""
	return nil
}

// alignment is what the metadata says of the tensors' offsets.
func (p *parser) alignment() (int64, error) {
	value, ok := p.metadata.Lookup(alignmentKey)
	if !ok {
		return defaultAlignment, nil
	}
	n, ok := value.(uint32)
	if !ok || n == 0 || n&(n-1) != 0 {
		p.key = alignmentKey
		return 0, fmt.Errorf("it is %s, must be a uint32 and a power of two", describe(value))
	}
	return int64(n), nil
}

func (p *parser) readTensors(n int, alignment int64) error {
	p.infos = make([]Info, 0, n)
	p.index = make(map[string]int, n)
	for i := range n {
		name, err := p.name(fmt.Sprintf("tensor %d of %d", i+1, n))
		if err != nil {
			return err
		}
		p.tensor = name
		if _, twice := p.index[name]; twice {
			return errors.New("the name occurs twice")
		}
		p.index[name] = i
		info, err := p.readTensor(name)
		if err != nil {
			return err
		}
		if info.Offset%alignment != 0 {
			return fmt.Errorf("its offset %d is no multiple of the alignment %d", info.Offset, alignment)
		}
		p.infos = append(p.infos, info)
	}
	p.tensor = ""
	start := (int64(p.at) + alignment - 1) &^ (alignment - 1)
	return p.place(start, max(0, int64(len(p.data))-start))
}

// readTensor reads the description of a tensor, its offset still from the end of the header.
func (p *parser) readTensor(name string) (info Info, err error) {
	rank, err := p.uint32()
	if err != nil {
		return info, err
	}
	if rank > maxRank {
		return info, fmt.Errorf("it has %d dimensions, the format has at most %d", rank, maxRank)
	}
	shape := make([]int, rank)
	for i := range shape {
		d, err := p.uint64()
		if err != nil {
			return info, err
		}
		shape[len(shape)-1-i] = int(min(d, math.MaxInt))
		if d > math.MaxInt {
			return info, fmt.Errorf("its dimension %d is %d, which overflows", i, d)
		}
	}
	kind, err := p.uint32()
	if err != nil {
		return info, err
	}
	offset, err := p.uint64()
	if err != nil {
		return info, err
	}
	if offset > math.MaxInt64/2 { // so that adding the header's bytes cannot overflow
		return info, fmt.Errorf("its offset %d is beyond any file", offset)
	}
	bytes, err := size(Type(kind), shape)
	return Info{Name: name, Type: Type(kind), Shape: shape, Size: bytes, Offset: int64(offset)}, err
}

// place sorts the tensors by their bytes, makes the offsets those in the file, and requires that every
// tensor lies within the bytes that are there and that no two share one.
func (p *parser) place(start, have int64) error {
	byOffset := func(a, b Info) int { return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size)) }
	if !slices.IsSortedFunc(p.infos, byOffset) {
		slices.SortStableFunc(p.infos, byOffset)
		for i, info := range p.infos {
			p.index[info.Name] = i
		}
	}
	end, previous := int64(0), ""
	for i := range p.infos {
		info := &p.infos[i]
		p.tensor = info.Name
		switch {
		case info.Offset > have || info.Size > have-info.Offset:
			return fmt.Errorf("%v of %s takes %d bytes from %d, but the file has only %d bytes of data: it is truncated or its header wrong; fetch it again",
				info.Shape, info.Type, info.Size, info.Offset, have)
		case info.Offset < end:
			return fmt.Errorf("its bytes from %d overlap those of %s, which end at %d", info.Offset, quote(previous), end)
		}
		end, previous = info.Offset+info.Size, info.Name
		info.Offset += start
	}
	p.tensor = ""
	return nil
}

// valueType is the number of a metadata type.
type valueType uint32

const (
	typeUint8 valueType = iota
	typeInt8
	typeUint16
	typeInt16
	typeUint32
	typeInt32
	typeFloat32
	typeBool
	typeString
	typeArray
	typeUint64
	typeInt64
	typeFloat64
)

// value reads a value of a type.
func (p *parser) value(t valueType) (any, error) {
	switch t {
	case typeString:
		b, err := p.text()
		return string(b), err
	case typeArray:
		return p.array()
	}
	numbers, err := p.numbers(t, 1)
	if err != nil {
		return nil, err
	}
	return first(numbers), nil
}

func (p *parser) array() (any, error) {
	kind, err := p.uint32()
	if err != nil {
		return nil, err
	}
	n, err := p.uint64()
	if err != nil {
		return nil, err
	}
	switch t := valueType(kind); t {
	case typeString:
		return p.strings(n)
	case typeArray:
		return nil, errors.New("it is an array of arrays, which is not supported")
	default:
		return p.numbers(t, n)
	}
}

// strings reads n strings into one piece of memory.
func (p *parser) strings(n uint64) ([]string, error) {
	if err := p.room(n, 8, "strings"); err != nil {
		return nil, err
	}
	start, total := p.at, 0
	for range n {
		b, err := p.text()
		if err != nil {
			return nil, err
		}
		total += len(b)
	}
	p.at = start
	var all strings.Builder
	all.Grow(total)
	out := make([]string, n)
	for i := range out {
		b, _ := p.text() // as before
		from := all.Len()
		all.Write(b)
		out[i] = all.String()[from:]
	}
	return out, nil
}

// numbers reads n numbers or bools of a type, as a slice.
func (p *parser) numbers(t valueType, n uint64) (any, error) {
	switch t {
	case typeUint8:
		return read(p, n, 1, func(b []byte) uint8 { return b[0] })
	case typeInt8:
		return read(p, n, 1, func(b []byte) int8 { return int8(b[0]) })
	case typeUint16:
		return read(p, n, 2, order.Uint16)
	case typeInt16:
		return read(p, n, 2, func(b []byte) int16 { return int16(order.Uint16(b)) })
	case typeUint32:
		return read(p, n, 4, order.Uint32)
	case typeInt32:
		return read(p, n, 4, func(b []byte) int32 { return int32(order.Uint32(b)) })
	case typeFloat32:
		return read(p, n, 4, func(b []byte) float32 { return math.Float32frombits(order.Uint32(b)) })
	case typeBool:
		wrong := byte(0)
		bools, err := read(p, n, 1, func(b []byte) bool {
			wrong |= b[0] &^ 1
			return b[0] == 1
		})
		if err == nil && wrong != 0 {
			err = errors.New("a bool is a byte other than 0 and 1")
		}
		return bools, err
	case typeUint64:
		return read(p, n, 8, order.Uint64)
	case typeInt64:
		return read(p, n, 8, func(b []byte) int64 { return int64(order.Uint64(b)) })
	case typeFloat64:
		return read(p, n, 8, func(b []byte) float64 { return math.Float64frombits(order.Uint64(b)) })
	}
	return nil, fmt.Errorf("its type %d is not known, only 0 to 12", t)
}

// read reads n elements of size bytes.
func read[T any](p *parser, n uint64, size int, decode func([]byte) T) ([]T, error) {
	if err := p.room(n, size, "elements"); err != nil {
		return nil, err
	}
	b, err := p.take(n * uint64(size))
	if err != nil {
		return nil, err
	}
	out := make([]T, n)
	for i := range out {
		out[i] = decode(b[i*size:])
	}
	return out, nil
}

// first is the only element of a slice of numbers.
func first(numbers any) any {
	switch s := numbers.(type) {
	case []uint8:
		return s[0]
	case []int8:
		return s[0]
	case []uint16:
		return s[0]
	case []int16:
		return s[0]
	case []uint32:
		return s[0]
	case []int32:
		return s[0]
	case []uint64:
		return s[0]
	case []int64:
		return s[0]
	case []float32:
		return s[0]
	case []float64:
		return s[0]
	case []bool:
		return s[0]
	}
	panic(fmt.Sprintf("gguf: no number in a %T", numbers))
}
