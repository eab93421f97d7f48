"""Where a comparison ran: versions and hardware, for whoever repeats it."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

__all__ = ["command_line", "environment"]


def environment(device: torch.device | str = "cpu") -> dict[str, str]:
    """Return the versions and the hardware that the numbers depend on, in the order to show."""
    facts = {"torchskip": _version("torchskip"), "torch": torch.__version__}
    facts["lightning-fabric"] = _version("lightning-fabric")
    facts["Python"] = platform.python_version()
    facts["system"] = f"{platform.system()} {platform.machine()}"
    facts["processor"] = (
        f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    )
    if torch.device(device).type == "cuda":
        facts["accelerator"] = torch.cuda.get_device_name(device)
    return facts


def command_line() -> str:
    """Return the command that started this process, ready to paste into a shell."""
    program = Path(sys.argv[0]).name or "python"
    if program == "__main__.py":
        program = "python -m torchskip"
    elif program.endswith(".py"):
        program = f"python {program}"
    return shlex.join(program.split() + sys.argv[1:])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
