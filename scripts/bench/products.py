"""The linear layers of a Qwen3-0.6B step whose products are measured: (name, in, out)."""

ROWS = 1024
PRODUCTS = [("q", 1024, 2048), ("o", 2048, 1024), ("up", 1024, 3072), ("down", 3072, 1024), ("head", 1024, 151936)]
