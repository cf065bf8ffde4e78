"""Makes families/chat_NAME.jsonl: conversations as the chat templates of released models render them.

    python3 make_chats.py FOLDER

needs `pip install tokenizers jinja2` and a FOLDER with NAME.jinja for each NAME below, from the models' files. The
first line of a file has the SHA-256 of the template's normal form, by which package tokenizer knows it; the others
have a conversation, its text, and its ids in the vocabulary of families/VOCABULARY.
"""
import hashlib
import json
import pathlib
import random
import re
import sys

from tokenizers import Tokenizer

import make_testdata
from make_testdata import CONTENTS, HERE, TOOLS, environment

OUT = HERE / "families"
VOCABULARIES = {"llama3": "llama3", "llama31": "llama3", "llama32": "llama3", "llama2": "llama2", "llama2b": "metaspace", "zephyr": "llama2", "smollm2": "smollm2", "qwen2": "smollm2", "qwen25": "smollm2"}
TOKENS = {"llama3": ("<|begin_of_text|>", "<|end_of_text|>"), "llama2": ("<s>", "</s>"), "metaspace": ("<s>", "</s>"), "smollm2": (None, "<|im_end|>")}


def normal(template):
    template = template.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
    return re.sub(r"(\{\{|\{%).*?(\}\}|%\})", lambda m: m[0].replace("\\n", "\n"), template, flags=re.S)


def conversation(rng):
    messages = [{"role": "system", "content": rng.choice(CONTENTS)}] if rng.random() < 0.5 else []
    for _ in range(rng.randrange(1, 4)):
        messages.append({"role": "user", "content": rng.choice(CONTENTS)})
        messages.append({"role": "assistant", "content": rng.choice(CONTENTS)})
    return messages[: len(messages) - rng.randrange(2)]


def main():
    for name, vocabulary in VOCABULARIES.items():
        text = (pathlib.Path(sys.argv[1]) / f"{name}.jinja").read_text(encoding="utf-8")
        compiled = environment().from_string(text)
        t = Tokenizer.from_file(str(OUT / vocabulary / "tokenizer.json"))
        bos, eos = TOKENS[vocabulary]
        rng = random.Random(7)
        rows = [{"template": hashlib.sha256(normal(text).encode()).hexdigest(), "vocabulary": vocabulary, "bos_token": bos, "eos_token": eos}]
        for _ in range(10 if name == "qwen25" else 24):
            tools = rng.choice([None, TOOLS, TOOLS[:1]]) if name == "qwen25" else None
            row = {"messages": make_testdata.conversation(rng, tools) if name == "qwen25" else conversation(rng), "add_generation_prompt": rng.random() < 0.5}
            if tools:
                row["tools"] = tools
            row["text"] = compiled.render(bos_token=bos, eos_token=eos, **row)
            row["ids"] = t.encode(row["text"], add_special_tokens=False).ids
            rows.append(row)
        (OUT / f"chat_{name}.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
        print(rows[0]["template"], name)


if __name__ == "__main__":
    main()
