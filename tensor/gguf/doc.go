// Package gguf reads and writes .gguf files, the format of llama.cpp: one file that holds a model's
// weights, plain or quantised, and, as typed metadata, its configuration, tokenizer and chat template.
//
// A file is "GGUF", a version, the numbers of tensors and of metadata; the metadata, each a key, a type and
// a value; of each tensor the name, dimensions, type and offset; and, padded to an alignment, the tensors'
// bytes. Everything is little-endian.
//
// [Open] maps the file into memory and gives out views of it. What it opens is not trusted: every count,
// length, product and offset is checked against the bytes that are really there before anything is
// allocated or handed out, and what it allocates is bounded by a multiple of the metadata's bytes.
// [Dequantize] gives the weights of quantised blocks. [Write] streams, and replaces the file whole or not
// at all.
//
// The package deals in names, types, shapes and bytes. It knows no tensor type. Shapes are row-major with
// the slowest axis first, as everywhere in hone; a file has them the other way round.
//
// It follows the format's description (ggml, docs/gguf.md) and ggml's reader (gguf.cpp) for versions 2 and
// 3, and the Python package gguf 0.19 for the values of quantised blocks, to the bit.
package gguf
