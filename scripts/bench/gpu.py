"""PyTorch beside hone on an NVIDIA card: cuBLAS products, flash attention, and a step and decoding of Qwen3-0.6B where
transformers is installed.

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


def attention(tokens=2048, heads=16, kv_heads=8, width=128):
    def rows(h):
        return torch.randn(1, h, tokens, width, device="cuda", dtype=torch.bfloat16, requires_grad=True)

    q, k, v = rows(heads), rows(kv_heads), rows(kv_heads)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
        def forward():
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

        out = forward()
        dout = torch.randn_like(out)
        product = heads * width * tokens * tokens  # FLOPs of one of the products, of which half are masked
        t = seconds(forward)
        print(f"PyTorch Attention/forward|{2 * product / t / 1e12:.1f} TFLOP/s", flush=True)
        t = seconds(lambda: torch.autograd.grad(out, (q, k, v), dout, retain_graph=True))
        print(f"PyTorch Attention/backward|{5 * product / t / 1e12:.1f} TFLOP/s", flush=True)


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

    model.eval()
    prompt = ids[:, :64]
    t = seconds(lambda: model.generate(prompt, max_new_tokens=128, min_new_tokens=128, do_sample=False), warm=1, times=3)
    print(f"PyTorch decoding of Qwen3-0.6B, eager|{128 / t:.0f} tokens/s", flush=True)


products()
attention()
step()
