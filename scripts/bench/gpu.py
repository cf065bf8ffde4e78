"""PyTorch beside hone on an NVIDIA card: cuBLAS products, and a step of Qwen3-0.6B where transformers is installed.

    python3 gpu.py

Prints "what|value" lines, which scripts/gpu-run.sh puts into its table. BF16, compiled, flash attention, fused AdamW.
"""
import time

import torch


def seconds(f, warm=3, times=10):
    for _ in range(warm):
        f()
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(times):
        f()
    torch.cuda.synchronize()
    return (time.perf_counter() - begin) / times


def products():
    for name, m, k, n in [("up", 2048, 1024, 3072), ("down", 2048, 3072, 1024), ("queries", 2048, 1024, 2048), ("head", 1024, 1024, 151936 // 4), ("square", 8192, 8192, 8192)]:
        x = torch.randn(m, k, device="cuda", dtype=torch.bfloat16)
        y = torch.randn(n, k, device="cuda", dtype=torch.bfloat16)
        t = seconds(lambda: x @ y.T)
        print(f"PyTorch {torch.__version__} (cuBLAS) MatMul/{name}/NT|{2 * m * k * n / t / 1e12:.1f} TFLOP/s", flush=True)


def step():
    try:
        from transformers import Qwen3Config, Qwen3ForCausalLM
    except ImportError:
        print("PyTorch step of Qwen3-0.6B|not run: transformers is not installed")
        return
    config = Qwen3Config(vocab_size=151936, hidden_size=1024, intermediate_size=3072, num_hidden_layers=28, num_attention_heads=16,
                         num_key_value_heads=8, head_dim=128, tie_word_embeddings=True)
    model = Qwen3ForCausalLM._from_config(config, attn_implementation="sdpa", dtype=torch.bfloat16).cuda()
    compiled = torch.compile(model)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    ids = torch.randint(0, config.vocab_size, (1, 2048), device="cuda")

    def one():
        compiled(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    t = seconds(one, times=5)
    print(f"PyTorch step of Qwen3-0.6B, 2,048 tokens|{2048 / t:.0f} tokens/s, {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB", flush=True)


products()
step()
