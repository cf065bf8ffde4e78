"""Writes nn/testdata/{network,layers,recurrent,attention,losses,inits}.safetensors: the layers, losses and initialisers of torch.nn."""

import torch
import torch.nn.functional as F
from torch import nn

from common import ROOT, Random, save, save_file

DATA = ROOT / "nn/testdata"


class Cases:
    """Cases by name: inputs, parameters, results, the gradient that flows in and those that flow out."""

    def __init__(self, seed: int):
        self.rand, self.out = Random(seed), {}

    def fill(self, module: nn.Module) -> None:
        """Draws every parameter from the script's own stream."""
        with torch.no_grad():
            for p in module.parameters():
                p.copy_(self.rand.normal(*p.shape, std=0.5))

    def add(self, name: str, inputs: dict, module: nn.Module | None, fn, constants: tuple = ()) -> None:
        """Records fn(*inputs), one tensor or several; floats among the inputs, but for the constants, want gradients."""
        inputs = {k: v.clone().requires_grad_(v.is_floating_point() and k not in constants) for k, v in inputs.items()}
        params = dict(module.named_parameters()) if module else {}
        before = {k: v.detach().clone() for k, v in module.named_buffers()} if module else {}
        self.out |= {f"{name}.{k}": v.detach().clone() for k, v in inputs.items()}
        self.out |= {f"{name}.state.{k}": v.detach().clone() for k, v in (params | before).items()}
        ys = fn(*inputs.values())
        ys = ys if isinstance(ys, tuple) else (ys,)
        dys = [self.rand.normal(1, *y.shape)[0] for y in ys]
        wrt = {k: v for k, v in (inputs | {f"state.{k}": v for k, v in params.items()}).items() if v.requires_grad}
        grads = torch.autograd.grad(ys, list(wrt.values()), dys)
        for i, (y, dy) in enumerate(zip(ys, dys)):
            self.out |= {f"{name}.y{i}": y.detach(), f"{name}.dy{i}": dy}
        for (k, _), g in zip(wrt.items(), grads):
            assert g.abs().max() > 0, (name, k)
            self.out[f"{name}.d.{k}"] = g
        if module:
            self.out |= {f"{name}.after.{k}": v.clone() for k, v in module.named_buffers()}


def norms(c: Cases) -> None:
    x = {"x": c.rand.normal(3, 6, 5, std=2.0, mean=1.0)}
    for name, module in {"group_norm": nn.GroupNorm(3, 6, eps=1e-3), "group_norm_one": nn.GroupNorm(1, 6), "group_norm_each": nn.GroupNorm(6, 6)}.items():
        c.fill(module)
        c.add(name, x, module, module)
    for name, module, shape in (
        ("batch_norm", nn.BatchNorm1d(4, eps=1e-3), (7, 4)),
        ("batch_norm_1d", nn.BatchNorm1d(4, momentum=0.3), (3, 4, 5)),
        ("batch_norm_2d", nn.BatchNorm2d(3), (2, 3, 4, 5)),
        ("batch_norm_cumulative", nn.BatchNorm1d(4, momentum=None), (7, 4)),
        ("batch_norm_eval", nn.BatchNorm2d(3), (2, 3, 4, 5)),
    ):
        c.fill(module)
        module(c.rand.normal(*shape, std=3.0, mean=-1.0))  # the running statistics are not those of the start
        module.train(name != "batch_norm_eval")
        c.add(name, {"x": c.rand.normal(*shape, std=2.0, mean=1.0)}, module, module)


def perceptrons(c: Cases) -> None:
    x = {"x": c.rand.normal(2, 3, 5)}
    for name, module in {
        "linear": nn.Linear(5, 4),
        "linear_plain": nn.Linear(5, 4, bias=False),
        "sequential": nn.Sequential(nn.Linear(5, 6), nn.SiLU(), nn.Linear(6, 4), nn.Sigmoid()),
    }.items():
        c.fill(module)
        c.add(name, x, module, module)
    for name, module in {"relu": nn.ReLU(), "gelu": nn.GELU(), "gelu_tanh": nn.GELU(approximate="tanh"), "silu": nn.SiLU(), "tanh": nn.Tanh(), "sigmoid": nn.Sigmoid()}.items():
        c.add(name, x, None, module)
    norm = nn.LayerNorm(5, eps=1e-3)
    c.fill(norm)
    c.add("layer_norm", x, norm, norm)
    rms = nn.RMSNorm(5, eps=1e-3)
    c.fill(rms)
    c.add("rms_norm", x, rms, rms)
    table = nn.Embedding(7, 4)
    c.fill(table)
    c.add("embedding", {"x": c.rand.ints(7, 2, 5)}, table, table)


class Causal(nn.Conv1d):
    """A causal convolution: zeros in front only."""

    def forward(self, x):
        return super().forward(F.pad(x, ((self.kernel_size[0] - 1) * self.dilation[0], 0)))


def convolutions(c: Cases) -> None:
    signal, image = {"x": c.rand.normal(2, 4, 9)}, {"x": c.rand.normal(2, 4, 7, 6)}
    for name, x, module in (
        ("conv1d", signal, nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2)),
        ("conv1d_causal", signal, Causal(4, 3, 3, dilation=2)),
        ("conv1d_depthwise", signal, Causal(4, 4, 4, groups=4, bias=False)),
        ("conv2d", image, nn.Conv2d(4, 3, (3, 2), stride=(2, 1), padding=(1, 0))),
        ("conv2d_groups", image, nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False)),
    ):
        c.fill(module)
        c.add(name, x, module, module)
    c.add("max_pool2d", image, None, nn.MaxPool2d(2))
    c.add("avg_pool2d", image, None, nn.AvgPool2d((3, 2), stride=(2, 1), padding=1))


def recurrences(c: Cases) -> None:
    """Many layers, both directions, with and without initial states, whose final ones are results, too."""
    x = c.rand.normal(3, 5, 4)
    for name, module in {
        "rnn": nn.RNN(4, 6, 2, batch_first=True),
        "rnn_relu": nn.RNN(4, 6, nonlinearity="relu", bias=False, batch_first=True),
        "rnn_both": nn.RNN(4, 3, 2, batch_first=True, bidirectional=True),
        "gru": nn.GRU(4, 6, 2, batch_first=True),
        "gru_plain": nn.GRU(4, 6, bias=False, batch_first=True),
        "gru_both": nn.GRU(4, 3, 2, batch_first=True, bidirectional=True),
    }.items():
        c.fill(module)
        h = c.rand.normal(module.num_layers * (1 + module.bidirectional), 3, module.hidden_size)
        c.add(name, {"x": x, "h": h}, module, module)
        c.add(name + "_zero", {"x": x}, module, lambda x, module=module: module(x)[0])
    for name, module in {
        "lstm": nn.LSTM(4, 6, 2, batch_first=True),
        "lstm_plain": nn.LSTM(4, 6, bias=False, batch_first=True),
        "lstm_both": nn.LSTM(4, 3, 2, batch_first=True, bidirectional=True),
    }.items():
        c.fill(module)
        shape = (module.num_layers * (1 + module.bidirectional), 3, module.hidden_size)

        def run(x, h, cell, module=module):
            y, (h, cell) = module(x, (h, cell))
            return y, h, cell

        c.add(name, {"x": x, "h": c.rand.normal(*shape), "c": c.rand.normal(*shape)}, module, run)
        c.add(name + "_zero", {"x": x}, module, lambda x, module=module: module(x)[0])


class Attention(nn.Module):
    """Grouped heads by scaled_dot_product_attention, with rotated halves if theta is given."""

    def __init__(self, width, heads, kv_heads, head_dim, kv_width=None, bias=True, causal=False, theta=None):
        super().__init__()
        self.q_proj = nn.Linear(width, heads * head_dim, bias=bias)
        self.k_proj = nn.Linear(kv_width or width, kv_heads * head_dim, bias=bias)
        self.v_proj = nn.Linear(kv_width or width, kv_heads * head_dim, bias=bias)
        self.o_proj = nn.Linear(heads * head_dim, width, bias=bias)
        self.head_dim, self.causal, self.theta = head_dim, causal, theta

    def rotate(self, x):
        if self.theta is None:
            return x
        half = self.head_dim // 2
        angles = torch.outer(torch.arange(x.shape[2]).float(), self.theta ** (-torch.arange(half) / half))
        cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
        return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin

    def forward(self, x, memory=None):
        memory = x if memory is None else memory
        split = lambda t: t.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        q, k, v = split(self.q_proj(x)), split(self.k_proj(memory)), split(self.v_proj(memory))
        y = F.scaled_dot_product_attention(self.rotate(q), self.rotate(k), v, is_causal=self.causal, enable_gqa=True)
        return self.o_proj(y.transpose(1, 2).flatten(2))


class Packed(Attention):
    """torch.nn.MultiheadAttention, its packed projections cut into three."""

    def forward(self, x, memory=None):
        memory = x if memory is None else memory
        m = nn.MultiheadAttention(self.q_proj.out_features, self.q_proj.out_features // self.head_dim, batch_first=True)
        weights = [torch.cat([getattr(p, k) for p in (self.q_proj, self.k_proj, self.v_proj)]) for k in ("weight", "bias")]
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1]) if self.causal else None
        args = dict(zip(("in_proj_weight", "in_proj_bias"), weights)) | {"out_proj.weight": self.o_proj.weight, "out_proj.bias": self.o_proj.bias}
        return torch.func.functional_call(m, args, (x, memory, memory), {"attn_mask": mask, "need_weights": False})[0]


def attentions(c: Cases) -> None:
    x = c.rand.normal(2, 5, 12)
    for name, module in {
        "attention": Packed(12, 3, 3, 4),
        "attention_causal": Packed(12, 3, 3, 4, causal=True),
        "attention_grouped": Attention(12, 4, 2, 6, bias=False, causal=True, theta=1e4),
        "attention_one_kv": Attention(12, 4, 1, 2, theta=100.0),
    }.items():
        c.fill(module)
        c.add(name, {"x": x}, module, module)
    cross = Attention(12, 4, 2, 3, kv_width=7)
    c.fill(cross)
    c.add("attention_cross", {"x": x, "memory": c.rand.normal(2, 6, 7)}, cross, cross)


def losses(c: Cases) -> None:
    """Each with its three reductions where it has them: 0 mean, 1 sum, 2 none."""

    def reduced(name, inputs, fn, reductions=("mean", "sum", "none"), constants=()):
        c.add(name, inputs, None, lambda *x: tuple(fn(*x, r) for r in reductions), constants)

    y, target = c.rand.normal(5, 4, std=2.0), c.rand.normal(5, 4)
    reduced("mse", {"y": y, "target": target}, lambda y, t, r: F.mse_loss(y, t, reduction=r))
    reduced("l1", {"y": y, "target": target}, lambda y, t, r: F.l1_loss(y, t, reduction=r))
    reduced("huber", {"y": y, "target": target}, lambda y, t, r: F.huber_loss(y, t, reduction=r, delta=0.7))
    reduced("smooth_l1", {"y": y, "target": target}, lambda y, t, r: F.smooth_l1_loss(y, t, reduction=r, beta=0.7))
    share = torch.sigmoid(c.rand.normal(5, 4))
    reduced("bce", {"logits": y * 10, "target": share}, lambda y, t, r: F.binary_cross_entropy_with_logits(y, t, reduction=r))
    weight = c.rand.uniform(0.5, 3.0, 4)
    reduced("bce_weighted", {"logits": y, "target": share, "weight": weight}, lambda y, t, w, r: F.binary_cross_entropy_with_logits(y, t, pos_weight=w, reduction=r), constants=("weight",))
    p = torch.softmax(c.rand.normal(5, 4), -1)
    p[1] = torch.tensor([0.0, 1.0, 0.0, 0.0])
    logq, logp = torch.log_softmax(y, -1), torch.log_softmax(target, -1)
    reduced("kl_div", {"logq": logq, "p": p}, lambda q, t, r: F.kl_div(q, t, reduction=r), ("batchmean", "sum", "none"), ("p",))
    reduced("kl_div_log", {"logq": logq, "logp": logp}, lambda q, t, r: F.kl_div(q, t, reduction=r, log_target=True), ("batchmean", "sum", "none"))
    labels = torch.tensor([1, -1, -1, 1, -1])
    c.add("cosine_similarity", {"x": y, "y": target}, None, lambda x, y: F.cosine_similarity(x, y, dim=-1))
    reduced("cosine_embedding", {"x": y, "y": target, "labels": labels}, lambda x, y, t, r: F.cosine_embedding_loss(x, y, t, margin=0.1, reduction=r))


def cross_entropies(c: Cases) -> None:
    """Class weights, smoothing and ignored rows, and the same of log-probabilities."""
    logits, targets = c.rand.normal(9, 6, std=3.0), c.rand.ints(6, 9)
    targets[3], targets[7] = -100, 4
    weight = c.rand.uniform(0.2, 3.0, 6)
    for name, kw in {"plain": {}, "smoothed": {"label_smoothing": 0.2}}.items():
        for weighted in (False, True):
            def fn(x, t, w, r, weighted=weighted, kw=kw):
                return F.cross_entropy(x, t, weight=w if weighted else None, reduction=r, **kw)

            case = f"cross_entropy_{name}" + "_weighted" * weighted
            c.add(case, {"logits": logits, "targets": targets, "weight": weight}, None, lambda *x: tuple(fn(*x, r) for r in ("mean", "none")), ("weight",))
    logp = torch.log_softmax(logits, -1)
    for weighted in (False, True):
        c.add(
            "nll" + "_weighted" * weighted, {"logits": logp, "targets": targets, "weight": weight}, None,
            lambda x, t, w: tuple(F.nll_loss(x, t, weight=w if weighted else None, reduction=r) for r in ("mean", "none")),
            ("weight",),
        )


def fans(out: dict) -> None:
    """The fans that torch counts of weights, and what its initialisers make of them."""
    init = nn.init
    for shape in ((3, 5), (6, 4, 3), (8, 2, 3, 5), (4, 1, 2, 2, 2)):
        w = torch.empty(*shape)
        name = "fans." + "x".join(map(str, shape))
        fan = init._calculate_fan_in_and_fan_out(w)
        out[name] = torch.tensor(fan)
        bounds = []
        for draw in (
            lambda: init.xavier_uniform_(w, gain=init.calculate_gain("tanh")),
            lambda: init.kaiming_uniform_(w, nonlinearity="relu"),
            lambda: init.kaiming_uniform_(w, a=0.2, mode="fan_out", nonlinearity="leaky_relu"),
        ):
            largest = max(draw().abs().max().item() for _ in range(2000))
            bounds.append(largest)
        out[name + ".bounds"] = torch.tensor(bounds)


class Network(nn.Module):
    """One of each kind of state: names with dots and without, both directions, buffers."""

    def __init__(self):
        super().__init__()
        self.embed, self.conv, self.norm = nn.Embedding(11, 6), nn.Conv1d(6, 8, 3, padding=1), nn.BatchNorm1d(8)
        self.rnn = nn.LSTM(8, 5, 2, bidirectional=True, batch_first=True)
        self.head = nn.Sequential(nn.LayerNorm(10), nn.Linear(10, 7), nn.GELU(), nn.Linear(7, 3))

    def forward(self, ids):
        x = self.norm(self.conv(self.embed(ids).transpose(1, 2)))
        return self.head(self.rnn(x.transpose(1, 2))[0])


def network() -> None:
    """A state_dict as torch and safetensors write it, and what the network makes of an input."""
    c, net = Cases(45), Network()
    c.fill(net)
    net(c.rand.ints(11, 4, 9))  # moves the running statistics
    net.eval()
    ids = c.rand.ints(11, 2, 9)
    save_file(net.state_dict(), DATA / "network.safetensors")
    save(DATA / "network_io.safetensors", {"ids": ids, "y": net(ids)})


def main() -> None:
    network()
    torch.manual_seed(41)
    c = Cases(41)
    norms(c)
    perceptrons(c)
    convolutions(c)
    save(DATA / "layers.safetensors", c.out)
    c = Cases(43)
    recurrences(c)
    save(DATA / "recurrent.safetensors", c.out)
    c = Cases(44)
    attentions(c)
    save(DATA / "attention.safetensors", c.out)
    c = Cases(42)
    losses(c)
    cross_entropies(c)
    save(DATA / "losses.safetensors", c.out)
    out = {}
    fans(out)
    save(DATA / "inits.safetensors", out)


if __name__ == "__main__":
    main()
