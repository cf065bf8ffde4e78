// Package tokenizer turns text into token ids and back: byte-level BPE as GPT-2, Qwen, Llama 3 and
// SmolLM2 use it, and BPE of characters with byte fallback as Llama 2 does, read from and written to
// Hugging Face's tokenizer.json, trained from texts (byte-level), with chat templates in Go.
//
// A text goes through these steps, each in a file of its own:
//
//	invalid UTF-8 → U+FFFD             utf8.go
//	added tokens found                 added.go
//	NFC                                nfc.go
//	spaces written as ▁                metaspace.go
//	split into words, digits, …        split.go, split_gpt2.go
//	bytes of a word merged into tokens bpe.go, encoder.go
//
// The reference is the Rust library tokenizers of Hugging Face; ids agree with it on every valid text.
// Its Unicode is not the one of Go's standard library, so the classes of characters come from
// tables measured on it (unicode_tables.go, runeclass.go).
package tokenizer
