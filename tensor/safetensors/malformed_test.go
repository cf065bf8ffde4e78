package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
)

// malformed is a file that breaks one rule.
type malformed struct {
	name   string
	file   []byte
	tensor string // that the error must name
	want   string // in the error
}

// entry returns the entry of a tensor as it stands in a header.
func entry(name, dtype, shape string, begin, end int) string {
	return fmt.Sprintf(`%q:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, name, dtype, shape, begin, end)
}

func malformedFiles() []malformed {
	// header makes the file of a header that ought to have 8 bytes of data.
	header := func(name, tensor, header, want string) malformed {
		return malformed{name, fileOf(header, 8), tensor, want}
	}
	// fields makes the file whose tensor x has an entry with the given content.
	fields := func(name, content, want string) malformed {
		return header(name, "x", `{"x":{`+content+`}}`, want)
	}
	length := func(n uint64, rest string) []byte {
		return append(binary.LittleEndian.AppendUint64(nil, n), rest...)
	}
	ok := entry("x", "U8", "[8]", 0, 8)
	return []malformed{
		// The frame.
		{"empty file", nil, "", "0 bytes are too few"},
		{"seven bytes", make([]byte, 7), "", "7 bytes are too few"},
		{"no header", length(0, ""), "", "does not begin with '{'"},
		{"header cut off", length(3, "{}"), "", "only 2 follow its length: the file is truncated"},
		{"length alone", length(2, ""), "", "only 0 follow"},
		{"header over 100 MB", length(100_000_001, "{}"), "", "over the format's limit"},
		{"header of all bits", length(math.MaxUint64, "{}"), "", "over the format's limit"},
		{"header whose end overflows", length(math.MaxUint64-7, "{}"), "", "over the format's limit"},
		{"a zip archive", []byte("PK\x03\x04 and what else is in a pickled model"), "", "over the format's limit"},
		{"a JSON file", []byte(`{"weight_map": {}}`), "", "over the format's limit"},

		// The header as JSON.
		header("array for an object", "", `[]`, "does not begin with '{'"),
		header("space before the object", "", ` {`+ok+`}`, "does not begin with '{'"),
		header("byte order mark", "", "\ufeff{"+ok+"}", "does not begin with '{'"),
		header("not UTF-8", "", "{\"x\xff\":{}}", "not UTF-8 (byte 11 of the file)"),
		header("overlong UTF-8", "", "{\"\xc0\xaf\":{}}", "not UTF-8"),
		header("UTF-8 surrogate", "", "{\"\xed\xa0\x80\":{}}", "not UTF-8"),
		header("object without end", "", `{`, "want a string, found the end"),
		header("member without value", "", `{"x"`, "want ':'"),
		header("entry without end", "x", `{"x":{"dtype":"U8"`, "want ',', found the end"),
		header("name without end", "", `{"x`, "a string has no end"),
		header("escape without end", "", `{"x\`, "a string has no end"),
		header("trailing comma", "", `{`+ok+`,}`, "want a string, found '}'"),
		header("missing comma", "", `{`+ok+` `+entry("y", "U8", "[0]", 8, 8)+`}`, "want ',', found a string"),
		header("key without quotes", "", `{x:{}}`, "want a string, found 'x'"),
		header("single quotes", "", `{'x':{}}`, "want a string, found '\\''"),
		header("comment", "", `{/**/`+ok+`}`, "want a string, found '/'"),
		header("control character in a name", "", "{\"a\nb\":{}}", "control character 0x0a"),
		header("unknown escape", "", `{"\x41":{}}`, "unknown escape"),
		header("escape of no hexadecimal", "", `{"\u00g0":{}}`, "unknown escape"),
		header("unpaired high surrogate", "", `{"\ud83e":{}}`, "unpaired surrogate"),
		header("unpaired low surrogate", "", `{"\udd99":{}}`, "unpaired surrogate"),
		header("reversed surrogates", "", `{"\udd99\ud83e":{}}`, "unpaired surrogate"),
		header("NUL as padding", "", "{"+ok+"}\x00\x00", `'\x00' follows the JSON object`),
		header("newline as padding", "", "{"+ok+"}\n", `'\n' follows the JSON object`),
		header("second object", "", "{"+ok+"} {}", "'{' follows the JSON object"),

		// Duplicate keys.
		header("name twice", "x", `{`+ok+`,`+ok+`}`, "occurs twice in the header"),
		header("name twice, once escaped", "x", `{`+ok+`,"\u0078"`+strings.TrimPrefix(ok, `"x"`)+`}`, "occurs twice in the header"),
		header("metadata twice", "", `{"__metadata__":{},"__metadata__":{},`+ok+`}`, "__metadata__ occurs twice"),
		header("metadata key twice", "", `{"__metadata__":{"a":"1","b":"2","a":"3"},`+ok+`}`, `the key "a" occurs twice`),
		fields("dtype twice", `"dtype":"U8","dtype":"U8","shape":[8],"data_offsets":[0,8]`, "dtype occurs twice"),
		fields("shape twice", `"dtype":"U8","shape":[8],"data_offsets":[0,8],"shape":[8]`, "shape occurs twice"),
		fields("data_offsets twice", `"data_offsets":[0,8],"data_offsets":[0,8]`, "data_offsets occurs twice"),

		// The metadata.
		header("metadata of an array", "", `{"__metadata__":["pt"],`+ok+`}`, "__metadata__ must be an object of strings, not an array"),
		header("metadata of null", "", `{"__metadata__":null,`+ok+`}`, "not null"),
		header("metadata with a number", "", `{"__metadata__":{"a":1},`+ok+`}`, `the value of "a" in __metadata__ must be a string, not a number`),
		header("metadata with an object", "", `{"__metadata__":{"a":{}},`+ok+`}`, "must be a string, not an object"),
		header("metadata like a tensor", "", `{`+entry("__metadata__", "U8", "[8]", 0, 8)+`}`, `the value of "shape" in __metadata__ must be a string`),

		// The fields of an entry.
		header("entry of null", "x", `{"x":null}`, "must be an object, not null"),
		header("entry of an array", "x", `{"x":["U8",[8],[0,8]]}`, "must be an object, not an array"),
		fields("empty entry", ``, "no dtype"),
		fields("no dtype", `"shape":[8],"data_offsets":[0,8]`, "no dtype"),
		fields("no shape", `"dtype":"U8","data_offsets":[0,8]`, "no shape"),
		fields("no data_offsets", `"dtype":"U8","shape":[8]`, "no data_offsets"),
		fields("unknown field", `"dtype":"U8","shape":[8],"data_offsets":[0,8],"strides":[1]`, `unknown field "strides"`),
		fields("field in capitals", `"DType":"U8","shape":[8],"data_offsets":[0,8]`, `unknown field "DType"`),

		// The dtype.
		fields("dtype of a number", `"dtype":8`, "dtype must be a string, not a number"),
		fields("unknown dtype", `"dtype":"Q4_0"`, `unknown dtype "Q4_0"`),
		fields("dtype in small letters", `"dtype":"f32"`, `unknown dtype "f32"`),
		fields("dtype of PyTorch", `"dtype":"float32"`, `unknown dtype "float32"`),
		fields("empty dtype", `"dtype":""`, `unknown dtype ""`),
		fields("four-bit dtype", `"dtype":"F4","shape":[16],"data_offsets":[0,8]`, "F4 is narrower than a byte"),
		fields("six-bit dtype", `"dtype":"F6_E2M3"`, "F6_E2M3 is narrower than a byte"),
		fields("other six-bit dtype", `"dtype":"F6_E3M2"`, "F6_E3M2 is narrower than a byte"),

		// The shape.
		fields("shape of a number", `"shape":8`, "shape must be an array of integers, not a number"),
		fields("shape of a string", `"shape":"[8]"`, "not a string"),
		fields("shape of strings", `"shape":["8"]`, "want an integer, found a string"),
		fields("nested shape", `"shape":[[8]]`, "want an integer, found an array"),
		fields("shape with null", `"shape":[null]`, "want an integer, found null"),
		fields("negative dimension", `"shape":[-8]`, "a negative number"),
		fields("negative zero", `"shape":[-0]`, "a negative number"),
		fields("fractional dimension", `"shape":[8.0]`, "not a plain integer"),
		fields("dimension with an exponent", `"shape":[8e0]`, "not a plain integer"),
		fields("dimension with a leading zero", `"shape":[08]`, "begins with 0"),
		fields("dimension over 64 bits", `"shape":[18446744073709551624]`, "an integer overflows"),
		fields("dimension over 63 bits", `"shape":[9223372036854775808]`, "an integer overflows"),
		fields("shape without end", `"shape":[8`, "want ',', found '}'"),
		fields("shape with a trailing comma", `"shape":[8,]`, "want an integer, found ']'"),
		fields("65 dimensions", `"shape":[`+strings.Repeat("1,", 64)+`8]`, "more than 64 dimensions"),
		fields("shape that wraps to its size", `"dtype":"U8","shape":[4294967296,4294967296,8],"data_offsets":[0,8]`, "overflows 64 bits"),
		fields("shape that overflows with its dtype", `"dtype":"U64","shape":[2305843009213693953],"data_offsets":[0,8]`, "overflows 64 bits"),
		fields("empty shape that overflows", `"dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,0]`, "overflows 64 bits"),

		// The offsets.
		fields("offsets of a number", `"data_offsets":0`, "data_offsets must be an array of two integers, not a number"),
		fields("no offset", `"data_offsets":[]`, "two integers, not 0"),
		fields("one offset", `"data_offsets":[0]`, "two integers, not 1"),
		fields("three offsets", `"data_offsets":[0,8,8]`, "two integers, not more"),
		fields("negative offset", `"data_offsets":[-8,0]`, "data_offsets: a negative number"),
		fields("fractional offset", `"data_offsets":[0,8.5]`, "not a plain integer"),
		fields("offset over 64 bits", `"data_offsets":[0,99999999999999999999]`, "data_offsets: an integer overflows"),
		header("end before begin", "x", `{`+entry("x", "U8", "[8]", 8, 0)+`}`, "end before they begin"),
		header("end beyond the data", "x", `{`+entry("x", "U8", "[16]", 0, 16)+`}`, "beyond the 8 bytes of data in the file"),
		header("all beyond the data", "x", `{`+entry("x", "U8", "[8]", 8, 16)+`}`, "beyond the 8 bytes of data"),
		header("largest end", "x", `{`+entry("x", "U8", "[9223372036854775807]", 0, math.MaxInt)+`}`, "beyond the 8 bytes of data"),
		header("range too short", "x", `{`+entry("x", "F32", "[3]", 0, 8)+`}`, "takes 12 bytes, but data_offsets [0, 8] give it 8"),
		header("range too long", "x", `{`+entry("x", "F32", "[]", 0, 8)+`}`, "takes 4 bytes, but data_offsets [0, 8] give it 8"),
		header("empty tensor with bytes", "x", `{`+entry("x", "F32", "[2,0]", 0, 8)+`}`, "takes 0 bytes"),

		// The cover of the data.
		header("data without tensors", "", `{}`, "the file has 8 bytes of data"),
		header("metadata alone with data", "", `{"__metadata__":{}}`, "the file has 8 bytes of data"),
		header("start after 0", "x", `{`+entry("x", "U8", "[4]", 4, 8)+`}`, "begin at 4, not at 0"),
		header("rest without tensor", "", `{`+entry("x", "U8", "[4]", 0, 4)+`}`, "ends at 4, but the file has 8 bytes of data"),
		header("hole", "y", `{`+entry("x", "U8", "[2]", 0, 2)+`,`+entry("y", "U8", "[4]", 4, 8)+`}`, `those of "x", which end at 2, is a hole`),
		header("hole after a nameless tensor", "y", `{`+entry("", "U8", "[2]", 0, 2)+`,`+entry("y", "U8", "[4]", 4, 8)+`}`, `is a hole`),
		header("overlap", "y", `{`+entry("y", "U8", "[5]", 3, 8)+`,`+entry("x", "U8", "[4]", 0, 4)+`}`, `overlap those of "x", which end at 4`),
		header("two tensors of one range", "y", `{`+entry("x", "U8", "[8]", 0, 8)+`,`+entry("y", "U8", "[8]", 0, 8)+`}`, "overlap"),
		header("empty tensor within another", "e", `{`+entry("x", "U8", "[8]", 0, 8)+`,`+entry("e", "U8", "[0]", 3, 3)+`}`, "overlap"),
	}
}

func TestEveryBrokenRuleIsAnErrorNamingFileTensorAndRule(t *testing.T) {
	files := malformedFiles()
	if len(files) < 40 {
		t.Fatalf("only %d malformed files", len(files))
	}
	for _, m := range files {
		t.Run(m.name, func(t *testing.T) {
			path := saved(t, "bad.safetensors", m.file)
			f, err := Open(path)
			if err == nil {
				t.Fatalf("opened with %q", f.Names())
			}
			var format *FormatError
			if !errors.As(err, &format) {
				t.Fatalf("%v is no FormatError", err)
			}
			if format.Path != path || !strings.Contains(err.Error(), path) {
				t.Errorf("%q does not name %s", err, path)
			}
			if format.Tensor != m.tensor {
				t.Errorf("%q names the tensor %q, want %q", err, format.Tensor, m.tensor)
			}
			if !strings.Contains(err.Error(), m.want) {
				t.Errorf("%q does not say %q", err, m.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q is not one line", err)
			}
		})
	}
}

// A file that is right in spite of its looks.
func TestLegalOdditiesAreRead(t *testing.T) {
	ok := entry("x", "U8", "[8]", 0, 8)
	for name, header := range map[string]string{
		"plain":                  `{` + ok + `}`,
		"padding":                `{` + ok + `}      `,
		"white space":            "{ \n\t\"x\" : {\"shape\" : [ 8 ] ,\r\n\"data_offsets\":[ 0 , 8 ],\"dtype\":\"U8\" } }",
		"escaped name":           `{"\u0078":{"dtype":"\u00558","shape":[8],"data_offsets":[0,8]}}`,
		"empty metadata":         `{"__metadata__":{},` + ok + `}`,
		"metadata at the end":    `{` + ok + `,"__metadata__":{"a":"b"}}`,
		"any order of tensors":   `{` + entry("b", "U8", "[4]", 4, 8) + `,` + entry("x", "U8", "[4]", 0, 4) + `}`,
		"empty tensors":          `{` + entry("e1", "U8", "[0]", 8, 8) + `,` + ok + `,` + entry("e2", "F64", "[3,0]", 0, 0) + `}`,
		"64 dimensions":          `{` + entry("x", "U8", "["+strings.Repeat("1,", 63)+"8]", 0, 8) + `}`,
		"unaligned":              `{` + entry("x", "U8", "[1]", 0, 1) + `,` + entry("f", "F32", "[]", 1, 5) + `,` + entry("y", "U8", "[3]", 5, 8) + `}`,
		"name that JSON escapes": `{"\"\\\/\b\f\n\r\t\u00e9\ud83e\udd99":` + strings.TrimPrefix(ok, `"x":`) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			f := opened(t, saved(t, "odd.safetensors", fileOf(header, 8)))
			var data []byte
			for info, b := range f.All() {
				data = append(data, b...)
				if info.Name == "f" && info.Aligned() == (info.Offset%4 != 0) {
					t.Errorf("Aligned() = %t at %d", info.Aligned(), info.Offset)
				}
				if name == "name that JSON escapes" && info.Name != "\"\\/\b\f\n\r\té🦙" {
					t.Errorf("name %q", info.Name)
				}
			}
			if string(data) != "\x00\x01\x02\x03\x04\x05\x06\x07" {
				t.Errorf("bytes %x", data)
			}
		})
	}
}

func TestLongNamesAreCutInErrors(t *testing.T) {
	name := strings.Repeat("n", 1<<20)
	_, err := Open(saved(t, "long.safetensors", fileOf(`{`+entry(name, name, "[8]", 0, 8)+`}`, 8)))
	if err == nil || len(err.Error()) > 1000 {
		t.Errorf("an error of %d bytes", len(fmt.Sprint(err)))
	}
}

// allocated returns the bytes that f allocates.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// What a header claims costs nothing: only what is there does, and that in
// proportion.
func TestLyingHeadersDoNotAllocate(t *testing.T) {
	needMapping(t)
	const small = 16 << 10
	repeat := func(s string, n int) string { return strings.Repeat(s, n) }
	manyTensors := func() string {
		var b strings.Builder
		for i := range 100_000 {
			fmt.Fprintf(&b, `"%x":{"dtype":"U8","shape":[],"data_offsets":[%d,%d]},`, i, i, i+1)
		}
		return "{" + strings.TrimSuffix(b.String(), ",") + "}"
	}()
	for _, test := range []struct {
		name  string
		file  []byte
		limit int64
	}{
		{"header of 100 MB that is not there", binary.LittleEndian.AppendUint64(nil, maxHeader), small},
		{"header of 2^64 bytes", binary.LittleEndian.AppendUint64(nil, math.MaxUint64), small},
		{"tensor of 2^62 bytes", fileOf(`{`+entry("x", "U8", "[4611686018427387904]", 0, 1<<62)+`}`, 8), small},
		{"names of fields without tensors", fileOf(`{"`+repeat("data_offsets", 1<<16)+`":1}`, 8), 4 * 12 << 16},
		{"many claims of entries", fileOf(`{"x":{`+repeat(`"data_offsets"`, 1<<16)+`}}`, 8), 4 * 14 << 16},
		{"a million dimensions", fileOf(`{"x":{"shape":[`+repeat("1,", 1<<20)+`1]}}`, 8), small},
		{"a million brackets", fileOf(`{"x":{"shape":`+repeat("[", 1<<20)+`}}`, 8), small},
		{"a million braces", fileOf(repeat(`{"x":`, 1<<18), 8), small},
		{"a name of 4 MiB of escapes", fileOf(`{"`+repeat(`\n`, 2<<20)+`":0}`, 8), 6 * 4 << 20},
		{"a hundred thousand tensors without data", fileOf(manyTensors, 0), 4 * int64(len(manyTensors))},
		{"a hundred thousand tensors, whole", fileOf(manyTensors, 100_000), 5 * int64(len(manyTensors))},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := saved(t, "liar.safetensors", test.file)
			var f *File
			var err error
			got := allocated(func() { f, err = Open(path) })
			if honest := strings.HasSuffix(test.name, "whole"); (err == nil) != honest {
				t.Fatalf("error %v", err)
			}
			if err == nil {
				defer f.Close()
			}
			if got > test.limit {
				t.Errorf("allocated %d bytes for a file of %d, limit %d", got, len(test.file), test.limit)
			}
			t.Logf("%d bytes for a file of %d", got, len(test.file))
		})
	}
}
