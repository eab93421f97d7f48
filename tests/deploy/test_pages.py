"""A fused model finds its pages in place."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from torch import nn
from torchskip import fuse

torch.set_num_threads(1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1) for _ in range(8))

    def forward(self, x):
        first, *others = [torch.sin(layer(x)) for layer in self.layers]
        for other in others:
            first = first * other
        return first


net = Net().eval()
x = torch.randn(1, 16, 160, 160)
fast = fuse(net, x)
for _ in range(5):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    fast(x)[0, 0, 0, 0].item()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about the GNU allocator")
def test_calls_fault_no_pages_in():
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert int(done.stdout) < 50  # of 400 that each of eight values has
