"""Writes tokenizer/testdata/chat_answers.jsonl: conversations with the ids and the assistant's tokens as transformers has them.

    python scripts/goldens/chat_answers.py path/to/chat_template.jinja

The template is Qwen3's, in which {% generation %} blocks are put around what an assistant writes; the script checks
that both render the same text.
"""

import json
import os
import random
import sys

from transformers import PreTrainedTokenizerFast

here = os.path.join(os.path.dirname(__file__), "../../tokenizer/testdata")
original = open(sys.argv[1], encoding="utf-8").read()

begin = original.index("        {%- if loop.index0 > ns.last_query_index %}")
calls = original.index("        {%- if message.tool_calls %}")
end = original.index("        {{- '<|im_end|>\\n' }}\n    {%- elif message.role == \"tool\" %}")
marked = (
    original[:begin]
    + """        {{- '<|im_start|>' + message.role + '\\n' }}
        {%- set thoughts = reasoning_content.strip('\\n') %}
        {%- set thinks = loop.index0 > ns.last_query_index and (loop.last or reasoning_content) %}
        {%- if thinks and not thoughts %}
            {{- '<think>\\n\\n</think>\\n\\n' }}
        {%- endif %}
        {%- generation %}
        {%- if thinks and thoughts %}
            {{- '<think>\\n' + thoughts + '\\n</think>\\n\\n' }}
        {%- endif %}
        {{- content.lstrip('\\n') if thinks else content }}
"""
    + original[calls:end]
    + """        {{- '<|im_end|>' }}
        {%- endgeneration %}
        {{- '\\n' }}
"""
    + original[end:].split("\n", 1)[1]
)

tokenizer = PreTrainedTokenizerFast(tokenizer_file=os.path.join(here, "small", "tokenizer.json"))
rng = random.Random(7)
texts = ["How many singers?", "SELECT count(*) FROM singer", "東京です。", "it's\n\n  done \n", "Two.\n\nThree.", "<", "12", "Größer"]
thoughts = ["<think>\nwhy\n\nnot\n</think>\n\nbecause", "<think>\n\n</think>\n\nplain"]


def conversation():
    messages = [{"role": "system", "content": rng.choice(texts)}] if rng.random() < 0.4 else []
    for _ in range(rng.randrange(1, 5)):
        messages.append({"role": "user", "content": rng.choice(texts)})
        if rng.random() < 0.3:
            call = {"type": "function", "function": {"name": "run_sql", "arguments": {"sql": "SELECT 1"}}}
            messages.append({"role": "assistant", "content": rng.choice(["", "Wait."]), "tool_calls": [call] * rng.randrange(1, 3)})
            messages.append({"role": "tool", "content": rng.choice(texts)})
        answer = {"role": "assistant", "content": rng.choice(texts + thoughts)}
        if rng.random() < 0.2 and answer["content"] not in thoughts:
            answer["reasoning_content"] = "\nI think\nso.\n"
        messages.append(answer)
    return messages


def spans(mask):
    out = []
    for i, m in enumerate(mask):
        if m and (i == 0 or not mask[i - 1]):
            out.append([i, i])
        if m:
            out[-1][1] = i + 1
    return out


with open(os.path.join(here, "chat_answers.jsonl"), "w", encoding="utf-8") as f:
    for _ in range(40):
        messages = conversation()
        text = tokenizer.apply_chat_template(messages, chat_template=original, tokenize=False)
        assert text == tokenizer.apply_chat_template(messages, chat_template=marked, tokenize=False), messages
        got = tokenizer.apply_chat_template(messages, chat_template=marked, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
        assert sum(got["assistant_masks"]) > 0
        f.write(json.dumps({"messages": messages, "text": text, "ids": got["input_ids"], "answers": spans(got["assistant_masks"])}, ensure_ascii=False) + "\n")
