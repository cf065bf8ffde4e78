package tokenizer

// The readers of tokenizer.json's small parts: what happens to a text before and after BPE.

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
	return r.object(func(string) error { _, err := r.skip(); return err })
}

func (b *builder) readNormalizer(r *jsonReader) error {
	if isNull, err := r.null(); isNull || err != nil {
		return err
	}
	b.normalize = true
	return r.record([]string{"type"}, func(key string) error {
		if key == "type" {
			return r.only("NFC")
		}
		_, err := r.skip()
		return err
	})
}

// readPreTokenizer takes a Sequence of a Split and a ByteLevel.
func (b *builder) readPreTokenizer(r *jsonReader) error {
	return r.record([]string{"type", "pretokenizers"}, func(key string) error {
		switch key {
		case "type":
			return r.only("Sequence")
		case "pretokenizers":
			n := 0
			err := r.array(func(i int) error {
				n++
				switch i {
				case 0:
					return b.readSplit(r)
				case 1:
					return readByteLevel(r, true)
				}
				return r.errorf("is one step too many: hone takes Split, then ByteLevel")
			})
			if err == nil && n < 2 {
				return r.errorf("has %d steps: hone takes two, Split and ByteLevel", n)
			}
			return err
		}
		_, err := r.skip()
		return err
	})
}

func (b *builder) readSplit(r *jsonReader) error {
	return r.record([]string{"type", "pattern", "behavior", "invert"}, func(key string) error {
		switch key {
		case "type":
			return r.only("Split")
		case "behavior":
			return r.only("Isolated")
		case "invert":
			return r.mustBe(false)
		case "pattern":
			return r.record([]string{"Regex"}, func(key string) error {
				if key != "Regex" {
					return r.errorf("is not supported: the pattern must be a Regex")
				}
				pattern, err := r.string()
				if err != nil {
					return err
				}
				b.pattern = pattern
				if b.split = splitters[pattern]; b.split == nil {
					return r.errorf("the pattern `%s` is not one that hone knows: %s", pattern, knownPatterns())
				}
				return nil
			})
		}
		_, err := r.skip()
		return err
	})
}

// readByteLevel reads a ByteLevel step. As a pre-tokenizer it must do nothing but map bytes to
// characters; as a decoder or post-processor its switches have no bearing on ids and text.
func readByteLevel(r *jsonReader, preTokenizer bool) error {
	required := []string{"type", "add_prefix_space", "trim_offsets"}
	if preTokenizer {
		required = append(required, "use_regex") // true if absent
	}
	return r.record(required, func(key string) error {
		switch key {
		case "type":
			return r.only("ByteLevel")
		case "add_prefix_space", "use_regex":
			if preTokenizer {
				return r.mustBe(false)
			}
			_, err := r.bool()
			return err
		case "trim_offsets":
			_, err := r.bool()
			return err
		}
		_, err := r.skip()
		return err
	})
}

func readPostProcessor(r *jsonReader) error {
	if isNull, err := r.null(); isNull || err != nil {
		return err
	}
	return readByteLevel(r, false)
}

// only reads a string that must be the one that hone supports.
func (r *jsonReader) only(want string) error {
	got, err := r.string()
	if err == nil && got != want {
		return r.errorf("%q is not supported, hone takes %q", got, want)
	}
	return err
}

// mustBe reads a boolean that must have the given value.
func (r *jsonReader) mustBe(want bool) error {
	got, err := r.bool()
	if err == nil && got != want {
		return r.errorf("%t is not supported, hone takes %t", got, want)
	}
	return err
}
