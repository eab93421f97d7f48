"""Freed memory keeps its pages."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from torchskip.deploy.pages import keep_pages

if KEEP:
    keep_pages()
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    values = [torch.ones(400_000) for _ in range(8)]  # 391 pages each
    del values
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about the GNU allocator")
def test_blocks_freed_together_are_not_faulted_in_again():
    # Importing torch frees a large block itself at times.
    assert max(_faults(keep=False) for _ in range(3)) > 1000
    assert _faults(keep=True) < 100


def _faults(keep):
    code = FAULTS.replace("KEEP", str(keep))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    return int(done.stdout)
