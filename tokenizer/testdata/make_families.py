"""Makes the goldens of other families' tokenizers with the reference implementation, from small vocabularies.

    python3 make_families.py

needs `pip install tokenizers jinja2`. Each folder of families/ has a tokenizer.json whose pipeline is that of a
released family, and encode.jsonl and decode.jsonl with what the reference makes of texts and ids:

    gpt2        ByteLevel with its own pattern
    llama3      Split with up to three digits together, ByteLevel; ignore_merges, and tokens that no merges make;
                a post-processor that begins every text
    smollm2     Digits, ByteLevel with its own pattern
    llama2      BPE of characters with byte fallback; a normalizer puts ▁ before every stretch of text
    metaspace   the same with a pre-tokenizer that puts ▁ before the first only
    crossing    llama2, but with tokens that have a ▁ in the middle
"""
import json
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from make_testdata import FRAGMENTS, HERE, QWEN2, make_corpus, random_text

LLAMA3 = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)
BYTES = [f"<0x{c:02X}>" for c in range(256)]
OUT = HERE / "families"


def byte_level(pre_tokenizer, control, docs):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizer
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(docs, trainers.BpeTrainer(
        vocab_size=420, min_frequency=2, special_tokens=control, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    return t


def llama3(docs):
    begin = "<|begin_of_text|>"
    control = [begin, "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    t = byte_level(pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]), control, docs)
    t.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single=f"{begin} $A", pair=f"{begin} $A {begin} $B", special_tokens=[(begin, t.token_to_id(begin))])])
    j = json.loads(t.to_str())
    j["model"]["ignore_merges"] = True
    j["model"]["merges"] = j["model"]["merges"][:-25]  # their tokens stay, and are found only as whole pieces
    return Tokenizer.from_str(json.dumps(j))


def characters(pre_tokenizer, docs):
    """BPE of characters; pre_tokenizer is what it is trained with."""
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.pre_tokenizer = pre_tokenizer
    t.train_from_iterator(docs, trainers.BpeTrainer(
        vocab_size=560, min_frequency=2, special_tokens=["<unk>", "<s>", "</s>"] + BYTES, limit_alphabet=90, show_progress=False))
    j = json.loads(t.to_str())
    j["added_tokens"] = j["added_tokens"][:3]  # the bytes are tokens of the model only
    t = Tokenizer.from_str(json.dumps(j))
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return t


def llama2(docs, cross=False):
    scheme = {"replacement": "▁", "prepend_scheme": "always"}
    t = characters(pre_tokenizers.Metaspace(split=not cross, **scheme), docs)
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.pre_tokenizer = None
    return t


def metaspace(docs):
    t = characters(pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True), docs)
    t.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    return t


MORE = ["<s>", "</s>", "<s>a", "a <s> b", " <s>", "▁", " ▁ ", "a▁b", "<0x41>", "1234567", "a1", " 1", "  12 345", "1.2.3", "x  9", "\n1", "\t12\n", "9 9",
        "it's IT'S 'Re don'T", "\n\n\n", "e\n\nf", "<|begin_of_text|>x", "<|eot_id|>", "日本語", "𝔘🎈", "a\u00a0b", "½⅓ Ⅷ٣٤"]


def cases(t, seed):
    rng = random.Random(seed)
    texts = ["", "a", " a"] + FRAGMENTS + MORE + [random_text(rng) + rng.choice(["", " ", rng.choice(MORE)]) for _ in range(110)]
    encode = [{"text": x, "ids": t.encode(x, add_special_tokens=False).ids} for x in texts]
    for row in encode[:5]:
        row["prompt_ids"] = t.encode(row["text"]).ids
    decode = []
    for _ in range(110):
        top = t.get_vocab_size() + 3
        ids = [rng.choice([rng.randrange(top), rng.randrange(5), rng.randrange(3, 270), 3 + rng.choice([10, 195, 169, 240, 159, 166])]) for _ in range(rng.randrange(1, 10))]
        decode.append({"ids": ids, "text": t.decode(ids, skip_special_tokens=False), "text_skip_special": t.decode(ids, skip_special_tokens=True)})
    return encode, decode


def dump(path, rows):
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")


def main():
    docs = make_corpus()
    eot = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    families = {
        "gpt2": byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), eot[:1], docs),
        "llama3": llama3(docs),
        "smollm2": byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]), eot, docs),
        "llama2": llama2(docs),
        "metaspace": metaspace(docs),
        "crossing": llama2(docs, cross=True),
    }
    for i, (name, t) in enumerate(families.items()):
        if name != "gpt2":
            t.add_tokens([AddedToken("NULL", single_word=True, normalized=False), AddedToken("[both]", lstrip=True, rstrip=True, normalized=True)])
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text(t.to_str() + "\n", encoding="utf-8")
        t = Tokenizer.from_file(str(folder / "tokenizer.json"))
        encode, decode = cases(t, 20 + i)
        dump(folder / "encode.jsonl", encode)
        dump(folder / "decode.jsonl", decode)


if __name__ == "__main__":
    main()
