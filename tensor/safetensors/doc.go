// Package safetensors reads and writes .safetensors files, the format in which
// model weights are published.
//
// A file is the length of a header (8 bytes, little-endian), the header (a JSON
// object that gives each tensor its dtype, shape and range of bytes), and the
// bytes of the tensors: little-endian, row-major, without holes.
//
// [Open] maps files into memory and gives out views of them, so that opening a
// model costs the parsing of its header and nothing else. What it opens is not
// trusted: every rule of the format is checked before the first byte of a tensor
// is handed out, and memory in proportion to the header that is really there is
// all it allocates. [Write] streams, so that a model is never held twice, and
// replaces the file whole or not at all; what it writes is byte for byte what
// the reference implementation writes for the same tensors.
//
// The package deals in names, dtypes, shapes and bytes. It knows no tensor type.
//
// It follows the format's description and reference implementation,
// https://github.com/huggingface/safetensors (version 0.8.0), and refuses some of
// what that implementation lets pass: duplicate keys, padding other than spaces,
// a header that does not begin with '{', all of which the description forbids;
// entries with unknown fields or in the form of an array; metadata of null; more
// than 64 dimensions; and the dtypes narrower than a byte (F4, F6_E2M3, F6_E3M2).
package safetensors
