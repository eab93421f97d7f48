"""A file is the old one or the new one, whatever goes wrong in between."""

import subprocess
import sys

import pytest

from torchskip.errors import TrainingError
from torchskip.prove.files import write, write_bytes


def test_a_failed_rename_leaves_what_was_there_and_no_litter(tmp_path, monkeypatch):
    target = tmp_path / "report.html"
    target.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(TrainingError) as caught:
        write(target, "new")
    assert str(caught.value) == (
        f"cannot write {target} (3 bytes): No space left on device\n"
        "  mend: make room, or choose another directory"
    )
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"cannot write .*file/below"):
        write(tmp_path / "file" / "below", "new")


def test_a_full_disk(tmp_path):
    """A file size limit stands in for the disk: the kernel refuses the write in the middle."""
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from torchskip.prove.files import write_bytes\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_bytes(Path(sys.argv[1]), b'x' * 100000)\n"
    )
    target = tmp_path / "weights"
    write_bytes(target, b"old")
    done = subprocess.run(
        [sys.executable, "-c", code, target], capture_output=True, text=True, timeout=120
    )
    assert f"TrainingError: cannot write {target} (100,000 bytes): File too large" in done.stderr
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
