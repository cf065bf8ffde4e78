package tokenizer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// pipeline is what tokenizer.json says happens to a text before and after BPE: the types of the steps, and what
// they are set to where that is open.
type pipeline struct {
	normalizer, preTokenizer, decoder string

	pattern splitter // of a Split
	regex   bool     // ByteLevel splits by GPT-2's pattern itself
	scheme  string   // a Metaspace's prepend_scheme
}

// The pipelines that hone has, by the types of their steps.
const (
	stepsNone      = "null"
	stepsNFC       = "NFC"
	stepsPrepend   = "Prepend, Replace"
	stepsByteLevel = "ByteLevel"
	stepsSplit     = "Split, ByteLevel"
	stepsDigits    = "Digits, ByteLevel"
	stepsMetaspace = "Metaspace"
	stepsFallback  = "Replace, ByteFallback, Fuse" // and then Strip, where a ▁ is put before texts
	stepsStripped  = stepsFallback + ", Strip"
)

// checkPipeline sees that the parts of the pipeline go together, and chooses what they are in Go. Errors are
// fieldErrors.
func (b *builder) checkPipeline() error {
	switch b.pipeline.decoder {
	case stepsByteLevel:
		return b.checkByteLevel()
	case stepsFallback, stepsStripped:
		return b.checkMetaspace()
	}
	return &fieldError{"decoder", fmt.Sprintf("is %s, hone takes %s, or %s", b.pipeline.decoder, stepsByteLevel, stepsStripped)}
}

func (b *builder) checkByteLevel() error {
	p := &b.pipeline
	if p.normalizer != stepsNone && p.normalizer != stepsNFC {
		return &fieldError{"normalizer", fmt.Sprintf("is %s, with a decoder of type ByteLevel hone takes null or NFC", p.normalizer)}
	}
	if b.byteFallback {
		return &fieldError{"model.byte_fallback", "true is not supported with a decoder of type ByteLevel"}
	}
	b.normalize = p.normalizer == stepsNFC
	switch p.preTokenizer {
	case stepsSplit:
		b.split = p.pattern
	case stepsByteLevel:
		b.split = splitGPT2
	case stepsDigits:
		b.split = splitSmolLM2
	default:
		return &fieldError{"pre_tokenizer", fmt.Sprintf("is %s, with a decoder of type ByteLevel hone takes %s; %s; or %s", p.preTokenizer, stepsSplit, stepsByteLevel, stepsDigits)}
	}
	if c, missing := b.missingByte(); missing && b.unknown != "" {
		return &fieldError{"model.unk_token", fmt.Sprintf("%s is not supported in a vocabulary that lacks a byte (0x%02X, written %q)", b.unknown, c, string(byteToRune[c]))}
	}
	if p.regex != (p.preTokenizer != stepsSplit) {
		return &fieldError{"pre_tokenizer", fmt.Sprintf("%s with use_regex %t is not supported", p.preTokenizer, p.regex)}
	}
	return nil
}

func (b *builder) checkMetaspace() error {
	p := &b.pipeline
	b.space = &metaspace{keep: p.decoder == stepsFallback}
	switch {
	case p.normalizer == stepsPrepend && p.preTokenizer == stepsNone:
		b.space.prepend = prependAlways
	case p.normalizer == stepsNone && p.preTokenizer == stepsMetaspace:
		b.space.prepend = map[string]prepend{"first": prependFirst, "always": prependMissing, "never": prependNever}[p.scheme]
		b.space.late = true
	default:
		return &fieldError{"pre_tokenizer", fmt.Sprintf("is %s behind a normalizer that is %s; with a decoder of type ByteFallback hone takes null behind %s, or %s behind null", p.preTokenizer, p.normalizer, stepsPrepend, stepsMetaspace)}
	}
	if b.ignoreMerges {
		return &fieldError{"model.ignore_merges", "true is not supported with a decoder of type ByteFallback"}
	}
	if !b.byteFallback {
		return &fieldError{"model.byte_fallback", "false is not supported with a decoder of type ByteFallback"}
	}
	for c := range 256 {
		if _, ok := b.vocab[byteToken(byte(c))]; !ok {
			return &fieldError{"model.vocab", "lacks " + byteToken(byte(c)) + ": with byte_fallback it must have a token for every byte"}
		}
	}
	b.space.cut = cuttable(b.vocab)
	b.split = b.space.split
	return nil
}

func readVersion(r *jsonReader) error {
	version, err := r.string()
	if err == nil && version != "1.0" {
		return r.errorf("is %q, must be \"1.0\"", version)
	}
	return err
}

// readIgnored accepts null or any object.
func readIgnored(r *jsonReader) error {
	if isNull, err := r.null(); isNull || err != nil {
		return err
	}
	return plain(r)
}

func (b *builder) readNormalizer(r *jsonReader) (err error) {
	b.pipeline.normalizer, err = r.steps("normalizers", map[string]stepReader{
		"NFC":     plain,
		"Prepend": func(r *jsonReader) error { return r.settings(map[string]stepReader{"prepend": exactly(metaRune)}) },
		"Replace": func(r *jsonReader) error { return readReplace(r, " ", metaRune) },
	})
	return err
}

func (b *builder) readPreTokenizer(r *jsonReader) (err error) {
	b.pipeline.preTokenizer, err = r.steps("pretokenizers", map[string]stepReader{
		"Split":     b.readSplit,
		"Digits":    func(r *jsonReader) error { return r.settings(map[string]stepReader{"individual_digits": must(true)}) },
		"ByteLevel": b.readByteLevel,
		"Metaspace": b.readMetaspace,
	})
	return err
}

func (b *builder) readDecoder(r *jsonReader) (err error) {
	b.pipeline.decoder, err = r.steps("decoders", map[string]stepReader{
		"ByteLevel":    plainByteLevel,
		"Replace":      func(r *jsonReader) error { return readReplace(r, metaRune, " ") },
		"ByteFallback": plain,
		"Fuse":         plain,
		"Strip": func(r *jsonReader) error {
			return r.settings(map[string]stepReader{"content": exactly(" "), "start": number("1"), "stop": number("0")})
		},
	})
	return err
}

func (b *builder) readSplit(r *jsonReader) error {
	return r.settings(map[string]stepReader{
		"behavior": exactly("Isolated"),
		"invert":   must(false),
		"pattern": func(r *jsonReader) error {
			return r.record([]string{"Regex"}, func(key string) error {
				if key != "Regex" {
					return r.errorf("is not supported: the pattern must be a Regex")
				}
				pattern, err := r.string()
				if err != nil {
					return err
				}
				if b.pipeline.pattern = splitters[pattern]; b.pipeline.pattern == nil {
					return r.errorf("the pattern `%s` is not one that hone knows: %s", pattern, knownPatterns())
				}
				return nil
			})
		},
	})
}

// readByteLevel reads a ByteLevel that stands before BPE.
func (b *builder) readByteLevel(r *jsonReader) error {
	b.pipeline.regex = true // if absent
	return r.record([]string{"add_prefix_space", "trim_offsets"}, func(key string) (err error) {
		switch key {
		case "add_prefix_space":
			return must(false)(r)
		case "use_regex":
			b.pipeline.regex, err = r.bool()
		case "trim_offsets":
			_, err = r.bool()
		default:
			_, err = r.skip()
		}
		return err
	})
}

// plainByteLevel reads a ByteLevel that decodes or post-processes: its switches have no bearing on ids and text.
func plainByteLevel(r *jsonReader) error {
	return r.record([]string{"add_prefix_space", "trim_offsets"}, func(key string) (err error) {
		switch key {
		case "add_prefix_space", "use_regex", "trim_offsets":
			_, err = r.bool()
		default:
			_, err = r.skip()
		}
		return err
	})
}

// readMetaspace reads a Metaspace.
func (b *builder) readMetaspace(r *jsonReader) error {
	return r.settings(map[string]stepReader{
		"replacement": exactly(metaRune),
		"prepend_scheme": func(r *jsonReader) (err error) {
			b.pipeline.scheme, err = r.string()
			if err == nil && !slices.Contains([]string{"first", "always", "never"}, b.pipeline.scheme) {
				return r.errorf("%q is not supported, hone takes \"first\", \"always\" or \"never\"", b.pipeline.scheme)
			}
			return err
		},
		"split": must(false),
	})
}

// readReplace reads a Replace of one string by another.
func readReplace(r *jsonReader, what, with string) error {
	return r.settings(map[string]stepReader{
		"pattern": func(r *jsonReader) error {
			return r.record([]string{"String"}, func(key string) error {
				if key != "String" {
					return r.errorf("is not supported: the pattern must be a String")
				}
				return exactly(what)(r)
			})
		},
		"content": exactly(with),
	})
}

// readPostProcessor reads which tokens begin every text: those that a TemplateProcessing puts before it.
func (b *builder) readPostProcessor(r *jsonReader) error {
	_, err := r.steps("processors", map[string]stepReader{"ByteLevel": plainByteLevel, "TemplateProcessing": b.readTemplate})
	return err
}

func (b *builder) readTemplate(r *jsonReader) error {
	before := true
	return r.record([]string{"single"}, func(key string) error {
		if key != "single" {
			_, err := r.skip()
			return err
		}
		return r.array(func(int) error {
			return r.object(func(kind string) error {
				before = before && kind == "SpecialToken"
				return r.record([]string{"id"}, func(key string) error {
					if key != "id" || !before {
						_, err := r.skip()
						return err
					}
					token, err := r.string()
					b.prefix = append(b.prefix, strings.Clone(token))
					return err
				})
			})
		})
	})
}

// A stepReader reads the value that the reader stands at.
type stepReader func(r *jsonReader) error

// exactly reads a string that must be the one that hone supports.
func exactly(want string) stepReader {
	return func(r *jsonReader) error {
		got, err := r.string()
		if err == nil && got != want {
			return r.errorf("%q is not supported, hone takes %q", got, want)
		}
		return err
	}
}

// must reads a boolean that must have the given value.
func must(want bool) stepReader {
	return func(r *jsonReader) error {
		got, err := r.bool()
		if err == nil && got != want {
			return r.errorf("%t is not supported, hone takes %t", got, want)
		}
		return err
	}
}

// number reads a number that must be written so.
func number(want string) stepReader {
	return func(r *jsonReader) error {
		if err := r.expect("a number"); err != nil {
			return err
		}
		got, err := r.number()
		if err == nil && got != want {
			return r.errorf("%s is not supported, hone takes %s", got, want)
		}
		return err
	}
}

// steps reads null, a step, or a Sequence of steps that stand in the given list, and returns their types, stepsNone for
// none. known reads a step of each type that is supported.
func (r *jsonReader) steps(list string, known map[string]stepReader) (string, error) {
	if isNull, err := r.null(); isNull || err != nil {
		return stepsNone, err
	}
	kind, err := r.step(known, "Sequence")
	if err != nil || kind != "Sequence" {
		return kind, err
	}
	types := []string{}
	err = r.record([]string{"type", list}, func(key string) error {
		if key != list {
			_, err := r.skip()
			return err
		}
		return r.array(func(int) error {
			kind, err := r.step(known)
			types = append(types, kind)
			return err
		})
	})
	return cmp.Or(strings.Join(types, ", "), stepsNone), err // a Sequence of nothing does nothing
}

// step reads a step of one of the known types and returns its type. Steps of the left types it leaves alone.
func (r *jsonReader) step(known map[string]stepReader, left ...string) (kind string, err error) {
	ahead := r.clone()
	err = ahead.record([]string{"type"}, func(key string) (err error) {
		if key == "type" {
			kind, err = ahead.string()
		} else {
			_, err = ahead.skip()
		}
		return err
	})
	if err != nil || slices.Contains(left, kind) {
		return kind, err
	}
	if read := known[kind]; read != nil {
		return kind, read(r)
	}
	names := slices.Sorted(maps.Keys(known))
	for i, name := range names {
		names[i] = strconv.Quote(name)
	}
	return kind, r.at("type", "%q is not supported, hone takes %s", kind, strings.Join(names, ", "))
}

// plain reads an object whatever it holds.
func plain(r *jsonReader) error {
	return r.object(func(string) error { _, err := r.skip(); return err })
}

// settings reads an object in which all that is known must be.
func (r *jsonReader) settings(known map[string]stepReader) error {
	required := slices.Sorted(maps.Keys(known))
	return r.record(required, func(key string) error {
		if read := known[key]; read != nil {
			return read(r)
		}
		_, err := r.skip()
		return err
	})
}
