"""The compiled function of a plan: it computes what its operators do, or these run instead."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from torchskip import fuse
from torchskip.deploy import script as module
from torchskip.nn import Skip


def residual() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        Skip(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)),
        nn.ReLU(),
        Skip(nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16)),
        nn.ReLU(),
    ).eval()


def compiled(fast) -> bool:
    return any("as one function" in note for note in fast.report.notes)


# PyTorch 2.13 dies in LlgaKernel::prepareRunArgs when one group of operators reads a value twice.
TWICE = """
import torch
from torch import nn
from torchskip import fuse

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.three = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return torch.relu(x + (self.one(x) + torch.relu(self.three(x))))

torch.manual_seed(0)
net, x = Net().eval(), torch.randn(1, 8, 16, 16)
fast = fuse(net, x)
for _ in range(3):
    torch.testing.assert_close(fast(x), net(x), atol=1e-5, rtol=0)
print("the same")
"""


def test_a_value_read_twice_does_not_end_the_process():
    done = subprocess.run(
        [sys.executable, "-c", TWICE], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "the same\n"), done.stderr[-500:]


@torch.no_grad()
def test_new_inputs_and_sizes_are_computed_alike_and_left_alone():
    net = residual()
    fast = fuse(net, torch.rand(1, 3, 16, 16))
    assert compiled(fast)
    for shape in [(1, 3, 16, 16), (2, 3, 24, 16)]:
        for _ in range(4):  # the second call of a size compiles, the next ones run compiled
            x = torch.randn(shape)
            before = x.clone()
            torch.testing.assert_close(fast(x), net(x), atol=1e-5, rtol=0)
            assert torch.equal(x, before)


@torch.no_grad()
def test_a_result_is_not_overwritten_by_the_next_call():
    fast = fuse(residual(), torch.rand(1, 3, 16, 16))
    first = fast(torch.zeros(1, 3, 16, 16))
    kept = first.clone()
    fast(torch.ones(1, 3, 16, 16))
    assert torch.equal(first, kept)


@torch.no_grad()
def test_threads_may_share_a_fused_model():
    net = residual()
    fast = fuse(net, torch.rand(1, 3, 16, 16))
    inputs = [torch.randn(1, 3, 16, 16) for _ in range(16)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(fast, inputs))
    for x, result in zip(inputs, results, strict=True):
        torch.testing.assert_close(result, net(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "activation",
    [nn.GELU(), nn.GELU(approximate="tanh"), nn.ELU(), nn.ELU(0.5), nn.SELU(), nn.Hardswish()],
    ids=str,
)
@torch.no_grad()
def test_activations_that_pytorch_tells_onednn_wrongly(activation):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), activation, nn.Conv2d(8, 4, 3)).eval()
    x = torch.randn(1, 3, 16, 16)
    torch.testing.assert_close(fuse(net, x)(x), net(x), atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_compiled_function_that_differs_is_not_used(monkeypatch):
    monkeypatch.setattr(module, "largest_difference", lambda result, truth: 0.5)
    net, x = residual(), torch.rand(1, 3, 16, 16)
    fast = fuse(net, x)
    assert not compiled(fast)
    assert any("operator by operator: oneDNN's graph differs by 5.0e-01" in n
               for n in fast.report.notes)  # fmt: skip
    torch.testing.assert_close(fast(x), net(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("enabled", [False, True])
def test_fusing_leaves_torchscripts_settings(enabled):
    before = torch._C._jit_llga_enabled()
    torch._C._jit_set_llga_enabled(enabled)
    try:
        fuse(residual(), torch.rand(1, 3, 16, 16))
        assert torch._C._jit_llga_enabled() is enabled
    finally:
        torch._C._jit_set_llga_enabled(before)


class Stretched(nn.Module):
    """A residual network with much between its convolutions that oneDNN's graph does not take."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(4))

    def forward(self, x):
        for conv in self.convs:
            x = x + torch.cumsum(conv(x), 1)
        return x


@pytest.mark.parametrize("slow", [False, True])
def test_the_faster_of_the_two_runs(monkeypatch, slow):
    asked = []
    monkeypatch.setattr(
        "torchskip.deploy.compiled.slower", lambda *functions: asked.append(functions) or slow
    )
    torch.manual_seed(0)
    net, x = Stretched().eval(), torch.randn(2, 8, 12, 12)
    fast = fuse(net, x)
    assert len(asked) == 1
    assert compiled(fast) != slow
    assert any("operator by operator: faster than one" in n for n in fast.report.notes) == slow
    with torch.no_grad():
        torch.testing.assert_close(fast(x), net(x), atol=1e-5, rtol=1e-5)


def test_where_all_is_in_groups_nothing_is_compared(monkeypatch):
    monkeypatch.setattr("torchskip.deploy.compiled.slower", None)
    assert compiled(fuse(residual(), torch.randn(1, 3, 16, 16)))
