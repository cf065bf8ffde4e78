package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

const (
	// lengthSize is the bytes of the header's length, with which a file begins.
	lengthSize = 8
	// maxHeader is the format's limit of a header, in bytes.
	maxHeader = 100_000_000
	// metadataKey is the one name that no tensor can have.
	metadataKey = "__metadata__"
	// minEntry is less than the shortest entry of a tensor takes in a header,
	// `"":{"dtype":"U8","shape":[],"data_offsets":[0,0]},`, so that a header can
	// claim no more entries than it has room for.
	minEntry = 48
)

// Info describes a tensor in a file.
type Info struct {
	Name   string
	DType  DType
	Shape  []int  // empty for a scalar
	Size   int64  // bytes
	File   string // the file that holds it: of a sharded model, the shard
	Offset int64  // where in File its bytes begin
}

// Aligned reports whether the tensor's bytes begin at a multiple of its dtype's
// alignment. The format does not promise it; files by [Write] and by the
// reference implementation keep it.
func (i Info) Aligned() bool { return i.Offset%int64(dtypes[i.DType].align) == 0 }

// header is a file's header with every rule of the format checked.
type header struct {
	infos    []Info         // in the order of their bytes
	index    map[string]int // of a name in infos
	metadata map[string]string
}

// parser reads the header of one file.
type parser struct {
	scanner
	path       string
	tensor     string // the entry being read, for errors
	dataOffset int64  // where the bytes of the tensors begin
	dataSize   int64
	header
}

// parseHeader reads the header of the file at path, whose whole content is file.
// Its errors are FormatErrors.
func parseHeader(path string, file []byte) (*header, error) {
	p := &parser{path: path}
	if err := p.parse(file); err != nil {
		return nil, &FormatError{Path: path, Tensor: p.tensor, Reason: err.Error()}
	}
	return &p.header, nil
}

func (p *parser) parse(file []byte) error {
	if len(file) < lengthSize {
		return fmt.Errorf("%d bytes are too few for a header: the file is truncated or not in this format", len(file))
	}
	length := binary.LittleEndian.Uint64(file)
	switch {
	case length > maxHeader:
		return fmt.Errorf("a header of %d bytes is over the format's limit of %d: not a safetensors file?", length, maxHeader)
	case length > uint64(len(file)-lengthSize):
		return fmt.Errorf("the header should have %d bytes, but only %d follow its length: the file is truncated; fetch it again",
			length, len(file)-lengthSize)
	}
	end := lengthSize + int(length)
	p.data, p.base = file[lengthSize:end], lengthSize
	p.dataOffset, p.dataSize = int64(end), int64(len(file)-end)
	return p.readHeader()
}

// readHeader reads p.data, which describes p.dataSize bytes of tensors.
func (p *parser) readHeader() error {
	if len(p.data) == 0 || p.data[0] != '{' {
		return errors.New("the header does not begin with '{': not a safetensors file?")
	}
	if err := checkUTF8(p.data, p.base); err != nil {
		return fmt.Errorf("the header is %w", err)
	}
	entries := min(bytes.Count(p.data, []byte(`"data_offsets"`)), len(p.data)/minEntry+1)
	p.infos = make([]Info, 0, entries)
	p.index = make(map[string]int, entries)
	if err := p.object(p.member); err != nil {
		return err
	}
	if err := p.end(" "); err != nil {
		return err
	}
	return p.checkCover()
}

// member reads a member of the header: the metadata or a tensor's entry.
func (p *parser) member(name string) error {
	if name == metadataKey {
		return p.readMetadata()
	}
	p.tensor = name
	if _, twice := p.index[name]; twice {
		return p.errorf("the name occurs twice in the header")
	}
	p.index[name] = len(p.infos)
	if err := p.readEntry(name); err != nil {
		return err
	}
	p.tensor = ""
	return nil
}

func (p *parser) readMetadata() error {
	if p.metadata != nil {
		return p.errorf("%s occurs twice in the header", metadataKey)
	}
	p.metadata = map[string]string{}
	return p.stringMap(metadataKey, p.metadata)
}

// stringMap reads an object whose values are strings into m. Its errors call it
// name.
func (s *scanner) stringMap(name string, m map[string]string) error {
	if s.next() != '{' {
		return s.errorf("%s must be an object of strings, not %s", name, s.found())
	}
	return s.object(func(key string) error {
		if _, twice := m[key]; twice {
			return s.errorf("the key %s occurs twice in %s", quote(key), name)
		}
		if s.next() != '"' {
			return s.errorf("the value of %s in %s must be a string, not %s", quote(key), name, s.found())
		}
		value, err := s.string()
		m[key] = value
		return err
	})
}

// readEntry reads the entry of one tensor and checks what it says on its own.
func (p *parser) readEntry(name string) error {
	var (
		dtype      DType
		shape      []int
		begin, end int64

		hasDType, hasShape, hasOffsets bool
	)
	if p.next() != '{' {
		return p.errorf("its entry must be an object, not %s", p.found())
	}
	err := p.object(func(field string) (err error) {
		var seen *bool
		switch field {
		case "dtype":
			seen = &hasDType
		case "shape":
			seen = &hasShape
		case "data_offsets":
			seen = &hasOffsets
		default:
			return p.errorf("unknown field %s: an entry has dtype, shape and data_offsets", quote(field))
		}
		if *seen {
			return p.errorf("the field %s occurs twice", field)
		}
		*seen = true
		switch field {
		case "dtype":
			dtype, err = p.readDType()
		case "shape":
			shape, err = p.readShape()
		case "data_offsets":
			begin, end, err = p.readOffsets()
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case !hasDType:
		return p.errorf("its entry has no dtype")
	case !hasShape:
		return p.errorf("its entry has no shape")
	case !hasOffsets:
		return p.errorf("its entry has no data_offsets")
	}
	need, err := size(dtype, shape)
	switch {
	case err != nil:
		return err
	case begin > end:
		return fmt.Errorf("data_offsets [%d, %d] end before they begin", begin, end)
	case end > p.dataSize:
		return fmt.Errorf("data_offsets [%d, %d] reach beyond the %d bytes of data in the file: it is truncated or its header wrong; fetch it again",
			begin, end, p.dataSize)
	case end-begin != need:
		return fmt.Errorf("shape %v of %s takes %d bytes, but data_offsets [%d, %d] give it %d",
			shape, dtype, need, begin, end, end-begin)
	}
	p.infos = append(p.infos, Info{
		Name: name, DType: dtype, Shape: shape, Size: need, File: p.path, Offset: p.dataOffset + begin,
	})
	return nil
}

func (p *parser) readDType() (DType, error) {
	if p.next() != '"' {
		return "", p.errorf("dtype must be a string, not %s", p.found())
	}
	text, err := p.string()
	if err != nil {
		return "", err
	}
	d := DType(text)
	return d, d.check()
}

func (p *parser) readShape() ([]int, error) {
	if p.next() != '[' {
		return nil, p.errorf("shape must be an array of integers, not %s", p.found())
	}
	shape := make([]int, 0, 4)
	err := p.array(func() error {
		if len(shape) == maxRank {
			return p.errorf("shape has more than %d dimensions, which is not supported", maxRank)
		}
		n, err := p.natural()
		shape = append(shape, n)
		if err != nil {
			return fmt.Errorf("shape: %w", err)
		}
		return nil
	})
	return shape, err
}

func (p *parser) readOffsets() (begin, end int64, err error) {
	if p.next() != '[' {
		return 0, 0, p.errorf("data_offsets must be an array of two integers, not %s", p.found())
	}
	var offsets [2]int
	count := 0
	err = p.array(func() error {
		if count == len(offsets) {
			return p.errorf("data_offsets must be two integers, not more")
		}
		n, err := p.natural()
		if err != nil {
			return fmt.Errorf("data_offsets: %w", err)
		}
		offsets[count] = n
		count++
		return nil
	})
	if err == nil && count < len(offsets) {
		err = p.errorf("data_offsets must be two integers, not %d", count)
	}
	return int64(offsets[0]), int64(offsets[1]), err
}

// checkCover sorts the tensors by their bytes and requires that these follow one
// another from the first byte of the data to the last.
func (p *parser) checkCover() error {
	byOffset := func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size))
	}
	if !slices.IsSortedFunc(p.infos, byOffset) {
		slices.SortStableFunc(p.infos, byOffset)
		for i, info := range p.infos {
			p.index[info.Name] = i
		}
	}
	covered, previous := int64(0), ""
	for i, info := range p.infos {
		begin := info.Offset - p.dataOffset
		p.tensor = info.Name
		switch {
		case begin < covered:
			return fmt.Errorf("its bytes from %d overlap those of %s, which end at %d", begin, quote(previous), covered)
		case begin > covered && i == 0:
			return fmt.Errorf("the first tensor's bytes begin at %d, not at 0", begin)
		case begin > covered:
			return fmt.Errorf("between its bytes from %d and those of %s, which end at %d, is a hole", begin, quote(previous), covered)
		}
		covered, previous = begin+info.Size, info.Name
	}
	p.tensor = ""
	if covered != p.dataSize {
		return fmt.Errorf("the last tensor ends at %d, but the file has %d bytes of data", covered, p.dataSize)
	}
	return nil
}
