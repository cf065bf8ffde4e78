package gguf

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// builder puts files together that may be wrong.
type builder struct{ b []byte }

func file(version uint32, tensors, entries uint64) *builder {
	f := &builder{[]byte(magic)}
	return f.u32(version).u64(tensors).u64(entries)
}

func (f *builder) u32(v uint32) *builder { f.b = order.AppendUint32(f.b, v); return f }
func (f *builder) u64(v uint64) *builder { f.b = order.AppendUint64(f.b, v); return f }
func (f *builder) raw(b ...byte) *builder {
	f.b = append(f.b, b...)
	return f
}
func (f *builder) text(s string) *builder { f.b = appendText(f.b, s); return f }

// tensor appends the description of a tensor; dims as in the file, the fastest first.
func (f *builder) tensor(name string, t Type, offset uint64, dims ...uint64) *builder {
	f.text(name).u32(uint32(len(dims)))
	for _, d := range dims {
		f.u64(d)
	}
	return f.u32(uint32(t)).u64(offset)
}

// data pads to 32 and appends n bytes.
func (f *builder) data(n int) *builder {
	for len(f.b)%defaultAlignment != 0 {
		f.b = append(f.b, 0)
	}
	f.b = append(f.b, make([]byte, n)...)
	return f
}

// malformed is a file that breaks one rule.
type malformed struct {
	name        string
	file        []byte
	key, tensor string // that the error must name
	want        string // in the error
}

func malformedFiles() []malformed {
	one := func() *builder { return file(3, 1, 0) } // a file of one tensor
	entry := func(name string, want string, build func(*builder)) malformed {
		f := file(3, 0, 1).text("k")
		build(f)
		return malformed{name, f.b, "k", "", want}
	}
	tensor := func(name string, f *builder, want string) malformed { return malformed{name, f.b, "", "x", want} }
	return []malformed{
		{"empty file", nil, "", "", "0 bytes are too few"},
		{"cut in the header", []byte("GGUF\x03\x00\x00\x00"), "", "", "too few for a header: the file is truncated"},
		{"a zip archive", []byte("PK\x03\x04 and what else is in a pickled model"), "", "", "does not begin with GGUF"},
		{"version 0", file(0, 0, 0).b, "", "", "version 0 of the format is not known"},
		{"version 1", file(1, 0, 0).b, "", "", "version 1 of the format is not supported: convert"},
		{"version 4", file(4, 0, 0).b, "", "", "version 4 of the format is not known"},
		{"big-endian", file(3<<24, 0, 0).b, "", "", "big-endian"},
		{"more entries than bytes", file(3, 0, math.MaxUint64).b, "", "", "claims 18446744073709551615 metadata entries, but at byte 24 only 0 bytes"},
		{"more tensors than bytes", file(3, 1<<60, 0).data(100).b, "", "", "tensors, but at byte 24"},

		// Metadata.
		{"key beyond the end", file(3, 0, 1).u64(1 << 62).data(64).b, "", "", "the name of metadata entry 1 of 1: at byte 32 it takes"},
		{"empty key", file(3, 0, 1).text("").data(64).b, "", "", "entry 1 of 1 has an empty name"},
		{"key not UTF-8", file(3, 0, 1).text("\xff").data(64).b, "", "", "is not UTF-8"},
		{"key twice", file(3, 0, 2).text("k").u32(0).raw(1).text("k").u32(0).raw(1).b, "k", "", "occurs twice"},
		{"type cut off", file(3, 0, 1).text("a key").raw(0, 0, 0).b, "a key", "", "at byte 37 it takes 4 bytes, but only 3 follow"},
		entry("type 13", "its type 13 is not known", func(f *builder) { f.u32(13).u64(0) }),
		entry("number cut off", "it claims 1 elements", func(f *builder) { f.u32(uint32(typeUint64)).raw(1) }),
		entry("bool 2", "a byte other than 0 and 1", func(f *builder) { f.u32(uint32(typeBool)).raw(2) }),
		entry("string beyond the end", "takes 1000 bytes", func(f *builder) { f.u32(uint32(typeString)).u64(1000) }),
		entry("string of all bits", "takes 18446744073709551615 bytes", func(f *builder) { f.u32(uint32(typeString)).u64(math.MaxUint64) }),
		entry("array without length", "takes 8 bytes", func(f *builder) { f.u32(uint32(typeArray)).u32(0) }),
		entry("array beyond the end", "claims 4611686018427387904 elements", func(f *builder) { f.u32(uint32(typeArray)).u32(uint32(typeInt32)).u64(1 << 62) }),
		entry("array whose bytes overflow", "claims 2305843009213693953 elements", func(f *builder) { f.u32(uint32(typeArray)).u32(uint32(typeUint64)).u64(1<<61 + 1).u64(0) }),
		entry("strings beyond the end", "claims 4294967296 strings", func(f *builder) { f.u32(uint32(typeArray)).u32(uint32(typeString)).u64(1 << 32) }),
		entry("second string beyond the end", "takes 9 bytes, but only 8", func(f *builder) { f.u32(uint32(typeArray)).u32(uint32(typeString)).u64(2).u64(0).u64(9).u64(0) }),
		entry("array of arrays", "array of arrays", func(f *builder) { f.u32(uint32(typeArray)).u32(uint32(typeArray)).u64(1).u32(0).u64(0) }),
		{"alignment 0", file(3, 0, 1).text(alignmentKey).u32(uint32(typeUint32)).u32(0).b, alignmentKey, "", "it is the uint32 0, must be"},
		{"alignment 48", file(3, 0, 1).text(alignmentKey).u32(uint32(typeUint32)).u32(48).b, alignmentKey, "", "power of two"},
		{"alignment of another type", file(3, 0, 1).text(alignmentKey).u32(uint32(typeInt32)).u32(32).b, alignmentKey, "", "it is the int32 32"},

		// Tensors.
		{"tensor name beyond the end", file(3, 1, 0).u64(100).data(32).b, "", "", "the name of tensor 1 of 1"},
		{"tensor without name", file(3, 1, 0).tensor("", F32, 0, 1).data(4).b, "", "", "tensor 1 of 1 has an empty name"},
		tensor("name twice", file(3, 2, 0).tensor("x", F32, 0, 1).tensor("x", F32, 32, 1).data(64), "occurs twice"),
		tensor("five dimensions", one().tensor("x", F32, 0, 1, 1, 1, 1, 1).data(4), "it has 5 dimensions"),
		tensor("dimensions of all bits", one().text("x").u32(math.MaxUint32).data(64), "it has 4294967295 dimensions"),
		tensor("dimension overflows", one().tensor("x", F32, 0, 1<<63).data(4), "its dimension 0 is 9223372036854775808"),
		tensor("product overflows", one().tensor("x", F32, 0, 1<<32, 1<<31).data(4), "overflows 64 bits"),
		tensor("product overflows beside a zero", one().tensor("x", F32, 0, 1<<32, 0, 1<<31).data(4), "overflows 64 bits"),
		tensor("unknown type", one().tensor("x", 99, 0, 32).data(64), "type 99 is not known: a newer program wrote the file"),
		tensor("half a block", one().tensor("x", Q8_0, 0, 48, 2).data(102), "rows of 48 elements are no whole blocks of Q8_0, which have 32"),
		tensor("scalar of blocks", one().tensor("x", Q4_0, 0).data(18), "rows of 1 elements"),
		tensor("crooked offset", one().tensor("x", F32, 4, 1).data(8), "its offset 4 is no multiple of the alignment 32"),
		tensor("offset of all bits", one().tensor("x", F32, math.MaxUint64-31, 1).data(8), "is beyond any file"),
		tensor("data cut off", one().tensor("x", F32, 0, 8).data(31), "[8] of F32 takes 32 bytes from 0, but the file has only 31 bytes of data: it is truncated"),
		tensor("offset beyond the end", one().tensor("x", F32, 64, 1).data(40), "takes 4 bytes from 64, but the file has only 40"),
		tensor("no data", one().tensor("x", F32, 0, 1), "has only 0 bytes of data"),
		tensor("overlap", file(3, 2, 0).tensor("y", F32, 0, 16).tensor("x", F32, 32, 8).data(64), `its bytes from 32 overlap those of "y", which end at 64`),
	}
}

func TestEveryMalformedFileIsRefusedByNameAndReason(t *testing.T) {
	for _, m := range malformedFiles() {
		f, err := Open(saved(t, m.file))
		if err == nil {
			f.Close()
			t.Errorf("%s: opened", m.name)
			continue
		}
		wrong, ok := errors.AsType[*FormatError](err)
		if !ok || wrong.Key != m.key || wrong.Tensor != m.tensor || !strings.Contains(err.Error(), m.want) ||
			!strings.HasPrefix(err.Error(), "gguf: "+wrong.Path+": ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want one that names %q%q and says %q", m.name, err, m.key, m.tensor, m.want)
		}
	}
}

func TestEveryTruncationOfAFileIsRefused(t *testing.T) {
	path := saved(t, nil)
	tensors := []Tensor{{Name: "x", Type: Q8_0, Shape: []int{2, 32}, Data: make([]byte, 68)}, {Name: "y", Type: F32, Shape: []int{8}, Data: make([]byte, 32)}}
	if err := Write(path, tensors, Metadata{{"a.strings", []string{"x", "yz"}}, {"a.n", uint32(7)}, {"a.s", "text"}, {"a.f", []float64{1, 2}}}); err != nil {
		t.Fatal(err)
	}
	whole := slices.Clone(opened(t, path).mapping.Data)
	for n := range whole {
		if _, err := parseHeader("x.gguf", whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are accepted", n, len(whole))
		}
	}
}

// What a header claims costs nothing: only what is there does, and that in proportion.
func TestMemoryIsBoundedByTheFile(t *testing.T) {
	many := file(3, 0, 10_000)
	for i := range 10_000 {
		many.text(string([]byte{'k', byte('0' + i%10), byte('0' + i/10%10), byte('0' + i/100%10), byte('0' + i/1000)})).u32(0).raw(1)
	}
	strings := file(3, 0, 1).text("k").u32(uint32(typeArray)).u32(uint32(typeString)).u64(50_000).raw(make([]byte, 8*50_000)...)
	tensors := file(3, 10_000, 0)
	for i := range 10_000 {
		tensors.tensor(string([]byte{'k', byte('0' + i%10), byte('0' + i/10%10), byte('0' + i/100%10), byte('0' + i/1000)}), F32, 0)
	}
	for name, data := range map[string][]byte{"many keys": many.b, "many empty strings": strings.b, "many tensors": tensors.b} {
		if n, limit := allocated(func() { parseHeader("x.gguf", data) }), bound(data); n > limit {
			t.Errorf("%s: %d bytes for a file of %d", name, n, len(data))
		}
	}
	for _, m := range malformedFiles() {
		if n := allocated(func() { parseHeader("x.gguf", m.file) }); n > bound(m.file) {
			t.Errorf("%s: %d bytes for a file of %d", m.name, n, len(m.file))
		}
	}
}

// bound is how much parsing a file may allocate.
func bound(file []byte) int64 { return 64<<10 + 16*int64(len(file)) }

func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// FuzzParse reads arbitrary files. What is refused must be refused by a FormatError; what is accepted must
// lie within the file, take memory in proportion to it, give weights, and survive being written and read
// again.
func FuzzParse(f *testing.F) {
	for _, m := range malformedFiles() {
		f.Add(m.file)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var h *header
		var err error
		if n := allocated(func() { h, err = parseHeader("fuzz.gguf", data) }); n > bound(data) {
			t.Fatalf("%d bytes allocated for a file of %d", n, len(data))
		}
		if err != nil {
			if wrong := (*FormatError)(nil); !errors.As(err, &wrong) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %q", err)
			}
			return
		}
		opened := &File{header: *h}
		opened.mapping.Data = data
		var tensors []Tensor
		writable := true
		for info, b := range opened.All() {
			if info.Type.Readable() {
				Dequantize(info.Type, make([]float32, len(b)/info.Type.Size()*info.Type.Block()), b)
			}
			tensors = append(tensors, Tensor{Name: info.Name, Type: info.Type, Shape: info.Shape, Data: b})
			writable = writable && len(info.Name) <= maxName
		}
		for _, kv := range h.metadata {
			writable = writable && checkKey(kv.Key) == nil
		}
		if n, _ := h.metadata.Lookup(alignmentKey); n != nil && n.(uint32) > 1<<16 || !writable {
			return
		}
		l, err := newLayout(tensors, h.metadata)
		if err != nil {
			t.Fatal(err)
		}
		var written bytes.Buffer
		if err := l.write(&written); err != nil {
			t.Fatal(err)
		}
		again, err := parseHeader("again.gguf", written.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		reopened := &File{header: *again}
		reopened.mapping.Data = written.Bytes()
		if int64(written.Len()) != l.size || len(again.metadata) != len(h.metadata) || len(again.infos) != len(h.infos) {
			t.Fatalf("%d bytes of %d, %d entries, %d tensors", written.Len(), l.size, len(again.metadata), len(again.infos))
		}
		for _, want := range tensors {
			info, _ := reopened.Info(want.Name)
			if info.Type != want.Type || !slices.Equal(info.Shape, want.Shape) || !bytes.Equal(reopened.Bytes(want.Name), want.Data) {
				t.Fatalf("%+v, want %+v", info, want)
			}
		}
	})
}
