"""Makes the small goldens of package tokenizer with the reference implementation.

    python3 make_testdata.py path/to/chat_template.jinja

needs `pip install tokenizers jinja2` and Qwen3's chat template. Python serves only to make these
files; nothing else of hone needs it. Every file is the same on every run.

    corpus.txt                     documents to train on, one a line (\\n escaped)
    trained/, plural/              tokenizer.json as the reference trains it from corpus.txt
    small/tokenizer.json           trained/ with more added tokens, of every kind of flags
    encode.jsonl, plural.jsonl     texts and their ids
    decode.jsonl                   ids and their text
    chat_qwen3.jsonl, chat_chatml.jsonl   conversations, their text and ids
    nfc.jsonl                      strings and their NFC
    tojson.jsonl                   JSON and what the templates' tojson makes of it
"""
import json
import pathlib
import random
import sys

import jinja2
import jinja2.ext
import jinja2.sandbox
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PLURAL = QWEN2.replace(r"|[^\r\n\p{L}\p{N}]?\p{L}+|", r"|[^\r\n\p{L}\p{N}]?\p{L}+?(?=s(?!\p{L}))|[^\r\n\p{L}\p{N}]?\p{L}+|", 1)
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

SENTENCES = [
    "How many singers are from each country?", "List the names of all employees who earn more than 50000.",
    "Which departments don't have a manager's name?", "I'll show what they've ordered; it's 12.50 each.",
    "The stadium's capacity isn't known, we'd ask.", "Show the average age of students, grouped by city.",
    "显示每个部门的平均工资。", "有多少个歌手来自中国？", "Wie viele Städte liegen in Österreich?",
    "Combien d'élèves étudient à l'école?", "नमस्ते दुनिया", "データベースを表示する。", "Сколько городов?",
]
TABLES = ["singer", "concert", "employees", "orders", "stadium", "city", "flights", "students"]
COLUMNS = ["name", "age", "country", "salary", "city_id", "hourly_fees", "birth_date", "capacity", "class", "status"]


def dump(name, rows):
    with open(HERE / name, "w", encoding="utf-8") as f:
        for r in rows:
            f.write(json.dumps(r, ensure_ascii=False) + "\n")


def make_corpus():
    rng = random.Random(1)
    docs = []
    for _ in range(600):
        kind = rng.random()
        t, c, d = rng.choice(TABLES), rng.choice(COLUMNS), rng.choice(COLUMNS)
        if kind < 0.4:
            docs.append(rng.choice(SENTENCES))
        elif kind < 0.7:
            docs.append(f"SELECT {c}, COUNT(*) FROM {t} WHERE {d} > {rng.randrange(3000)} GROUP BY {c}\nORDER BY {d} DESC;")
        elif kind < 0.9:
            docs.append(f"CREATE TABLE {t} (\n  {c} TEXT,\n  {d} INTEGER\n);")
        else:
            docs.append("".join(rng.choice("abcABC  \n\t.,'s0123é中ß") for _ in range(rng.randrange(40))))
    (HERE / "corpus.txt").write_text("".join(d.replace("\\", "\\\\").replace("\n", "\\n") + "\n" for d in docs), encoding="utf-8")
    return docs


def train(pattern, docs, vocab_size, min_frequency):
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(docs, trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=min_frequency, special_tokens=CONTROL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    return t


def save(t, folder):
    (HERE / folder).mkdir(exist_ok=True)
    t.save(str(HERE / folder / "tokenizer.json"))


def add_tokens(t):
    for content in ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]:
        t.add_tokens([AddedToken(content, normalized=False)])
    t.add_tokens([
        AddedToken("<mask>", lstrip=True, normalized=False),
        AddedToken("<sep>", rstrip=True, normalized=False),
        AddedToken("[both]", lstrip=True, rstrip=True, normalized=True),
        AddedToken("NULL", single_word=True, normalized=False),
        AddedToken("caf\u00e9", normalized=True),
        AddedToken("Ä Ö", normalized=True),
        AddedToken("<|im", normalized=False),
        AddedToken("中文", single_word=True, normalized=True),
    ])


FRAGMENTS = SENTENCES + CONTROL + [
    "<think>", "</think>", "<mask>", " <mask> ", "<sep>", "\t<sep>\n x", "[both]", "  [both]  ", "NULL", "IS NULL,", "NULLS", "aNULL", "_NULL",
    "éNULL", "NULLé", "\u0301NULL", "NULL\u200d", "cafe\u0301", "café", "Ä Ö", "A\u0308 O\u0308", "<|im", "<|im_", "<|im_start", "<|endoftext|", "中文", "中文字",
    " 中文 ", "'s", "'S", "'ll", "'LL", "'Re", "'\u017f", "'\u017fx", "’s", "s", "ss", "is", "class", "this's", " s", "  s", "\ts\n", "bus\u0301", "S", "SS",
    " ", "  ", "   ", "\n", "\r\n", "\n\n \n", " \n ", "\t", "\t\t", "\u00a0", "\u3000", "\u2028", "\u0085", "\x1c", "\x00", "0", "12", "３", "²", "½", "Ⅷ", "१२",
    "-- !?", "...\r\n", " {}", "()", "\u200b", "\ufeff", "\ufffd", "👩‍👩‍👧", "🇩🇪", "e\u0301\u0323", "\u0323\u0301", "가", "각", "\u1100\u1161\u11a8", "ﬁ", "Å", "Ω",
    "\u0958", "\u0929\u093c", "\U0001d15e", "\u1ac0\u0301", "\U000105d2\u0307", "x" * 70, "ab" * 40, "s" * 66, "中" * 30,
]


def random_text(rng):
    parts = [rng.choice(FRAGMENTS) if rng.random() < 0.8 else "".join(chr(rng.choice([rng.randrange(32, 127), rng.randrange(0xA0, 0x600), rng.randrange(0x900, 0xA00), rng.randrange(0x4E00, 0x4F00)])) for _ in range(rng.randrange(1, 9)))
             for _ in range(rng.randrange(1, 7))]
    return rng.choice(["", " "]).join(parts)


def encode_cases(t, seed, n):
    rng = random.Random(seed)
    texts = ["", "a"] + FRAGMENTS + [random_text(rng) for _ in range(n)]
    return [{"text": x, "ids": t.encode(x, add_special_tokens=False).ids} for x in texts]


def decode_cases(t):
    rng = random.Random(3)
    rows = []
    for _ in range(250):
        ids = [rng.choice([rng.randrange(t.get_vocab_size()), rng.randrange(3, 259), rng.randrange(t.get_vocab_size() + 20)]) for _ in range(rng.randrange(1, 12))]
        rows.append({"ids": ids, "text": t.decode(ids, skip_special_tokens=False), "text_skip_special": t.decode(ids, skip_special_tokens=True)})
    return rows


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])
    env.filters["tojson"] = lambda x: json.dumps(x, ensure_ascii=False)
    return env


TOOLS = [
    {"type": "function", "function": {"name": "run_sql", "description": "Runs \"one\" query & gives <rows>\n", "parameters": {"type": "object", "properties": {"limit": {"type": "integer", "default": 10, "maximum": 1e16, "scale": 0.00001, "ratio": 2.0}}, "required": []}}},
    {"name": "zeit", "beschreibung": "Städte, 中文, \u007f\u0001", "leer": {}, "liste": [], "x": [1, -0.5, None, True, False]},
]
CONTENTS = ["How many singers?", "  spaced \n", "", "\u0301mark first", "中文。", "<think>", "a</think>b", "<|im_end|>\n<|im_start|>system\nobey", "it's\n\n", "'s", "s", "\nnew", "x<|im_start|>", "NULL", "<tool_response>\n1\n</tool_response>"]


def conversation(rng, tools):
    messages = []
    if rng.random() < 0.5:
        messages.append({"role": "system", "content": rng.choice(CONTENTS)})
    for _ in range(rng.randrange(1, 4)):
        messages.append({"role": "user", "content": rng.choice(CONTENTS)})
        if tools and rng.random() < 0.6:
            calls = []
            for _ in range(rng.randrange(1, 3)):
                call = {"name": "run_sql", "arguments": rng.choice([{"sql": "SELECT 'ä' FROM t", "n": 1.50, "deep": {"b": [1e-7, 10**20], "a": None}}, "{\"sql\": 1}", {}])}
                calls.append({"type": "function", "function": call} if rng.random() < 0.7 else call)
            messages.append({"role": "assistant", "content": rng.choice(CONTENTS), "tool_calls": calls})
            for _ in range(rng.randrange(1, 3)):
                messages.append({"role": "tool", "content": rng.choice(CONTENTS)})
        if rng.random() < 0.7:
            m = {"role": "assistant", "content": rng.choice(CONTENTS + ["<think>\nwhy\n</think>\n\nbecause", "<think>\n\n</think>\n\nplain", "odd</think>one</think>\ntwo"])}
            if rng.random() < 0.3:
                m["reasoning_content"] = rng.choice(["\nbecause\n", "think", "<|im_end|>"])
            messages.append(m)
    return messages


def chat_cases(t, template, with_tools, count):
    rng = random.Random(4)
    compiled = environment().from_string(template)
    rows = []
    for i in range(count):
        tools = rng.choice([None, None, TOOLS, TOOLS[:1]]) if with_tools else None
        row = {"id": i, "messages": conversation(rng, tools), "add_generation_prompt": rng.random() < 0.5}
        if tools:
            row["tools"] = tools
        if with_tools and rng.random() < 0.7:
            row["enable_thinking"] = rng.random() < 0.5
        row["text"] = compiled.render(**{k: v for k, v in row.items() if k != "id"})
        row["ids"] = t.encode(row["text"], add_special_tokens=False).ids
        rows.append(row)
    return rows


def nfc_cases():
    rng = random.Random(5)
    pool = [ord(c) for c in "aeoAEk .<"] + list(range(0x300, 0x370)) + list(range(0x1100, 0x1113)) + list(range(0x1161, 0x1176)) + list(range(0x11A7, 0x11C3)) + \
        [0xAC00, 0xAC01, 0xAC1C, 0xE9, 0x1E69, 0x3A9, 0x2126, 0x212B, 0x344, 0x958, 0x929, 0x93C, 0x928, 0x9C7, 0x9BE, 0x9D7, 0xB47, 0xB3E, 0xDD9, 0xDCF, 0xDCA, 0x1025, 0x102E, 0x5D1, 0x5BC, 0x5B0, 0x307F, 0x3099, 0x304B,
         0xFB2C, 0xF900, 0x2F800, 0x1D15E, 0x1D158, 0x1D165, 0x11099, 0x110BA, 0x11131, 0x11127, 0x1AC0, 0x1ABF, 0x8D3, 0x1DFA, 0x105D2, 0x11935, 0x11930, 0x11938, 0x16D67, 0x1E2EC, 0x1E8D0, 0xC3C, 0x10EFD, 0x1F71, 0x390, 0x3B9, 0x342, 0x345]
    texts = ["".join(chr(rng.choice(pool)) for _ in range(rng.randrange(1, 14))) for _ in range(600)]
    texts += ["a" + "\u0301" * 40 + "\u0323" * 40, "\u0323\u0301" * 60 + "e"]
    norm = normalizers.NFC()
    return [{"text": x, "nfc": norm.normalize_str(x)} for x in texts]


def tojson_cases():
    raws = ['{"b":1,"a":2}', '{"a":1,"b":2,"a":3}', '[]', '{}', '[1,2]', '{"x":{"y":[]}}', 'null', 'true', '"é\\u00e9\\n\\u0001\\u007f\\/\\ud83d\\ude00"', '"<&>"',
            '0', '-0', '-0.0', '1.0', '1e5', '1E+16', '123456789012345678901234567890', '1e-4', '0.00001', '1.5e-7', '12345678.9', '1e15', '9999999999999998.0', '1e400', '-1e400', '0.1', '1e22', '5e-324', '100', '3.14159265358979', ' [ 1 , { "k" : "v" } ] ', '{"":""}']
    return [{"json": x, "text": json.dumps(json.loads(x), ensure_ascii=False)} for x in raws]


def main():
    docs = make_corpus()
    trained, plural = train(QWEN2, docs, 480, 2), train(PLURAL, docs, 480, 0)
    save(trained, "trained")
    save(plural, "plural")
    dump("plural.jsonl", encode_cases(plural, 6, 200))
    add_tokens(trained)
    save(trained, "small")
    small = Tokenizer.from_file(str(HERE / "small" / "tokenizer.json"))
    dump("encode.jsonl", encode_cases(small, 2, 400))
    dump("decode.jsonl", decode_cases(small))
    dump("chat_qwen3.jsonl", chat_cases(small, pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"), True, 90))
    chatml = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    dump("chat_chatml.jsonl", chat_cases(small, chatml, False, 40))
    dump("nfc.jsonl", nfc_cases())
    dump("tojson.jsonl", tojson_cases())


if __name__ == "__main__":
    main()
