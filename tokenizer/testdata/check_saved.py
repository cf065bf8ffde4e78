"""Encodes texts with the reference implementation, for TestSavedFilesEncodeTheSameInTheReference.

    python3 check_saved.py path/to/tokenizer.json < texts > ids

reads a JSON array of strings and writes a JSON array of arrays of ids.
"""
import json
import sys

from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(sys.argv[1])
texts = json.load(sys.stdin)
json.dump([tokenizer.encode(t, add_special_tokens=False).ids for t in texts], sys.stdout)
