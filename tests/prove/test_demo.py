"""The demo's evidence, in small."""

import io
import json

import pytest
import torch
from rich.console import Console

from torchskip import data
from torchskip.errors import TorchskipError
from torchskip.prove import run_demo


def demo(images, out, **options):
    return run_demo(images, out=out, depth=8, width=4, epochs=2, **options)


def test_both_networks_the_report_and_the_bars(few, tmp_path):
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    state = torch.random.get_rng_state()
    found = demo(few, tmp_path / "out", console=console)
    assert [(r.network, r.depth, len(r.steps)) for r in found.runs] == [
        ("plain", 8, 6),
        ("residual", 8, 6),
    ]
    assert found.images == "fashion-mnist, 200 to train and 50 to test, 1x14x14"
    assert "plain-8" in console.file.getvalue()
    record = json.loads((tmp_path / "out/results.json").read_text())
    assert record["runs"][1]["test_accuracy"] == found.runs[1].test_accuracy
    assert (tmp_path / "out/report.html").stat().st_size > 10_000
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_same_seed_gives_the_same_numbers(few, tmp_path):
    first, second = (demo(few, tmp_path / name, seed=9).runs for name in "ab")
    for one, other in zip(first, second, strict=True):
        assert (one.steps, one.epochs) == (other.steps, other.epochs)


def test_an_impossible_depth_is_refused_before_anything_is_written(few, tmp_path):
    with pytest.raises(TorchskipError, match="depth is 9"):
        run_demo(few, out=tmp_path / "out", depth=9)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_skips_win_at_depth_56(tmp_path):
    plain, residual = run_demo(data.load(), out=tmp_path).runs
    assert residual.train_accuracy > plain.train_accuracy + 0.1
    assert residual.gradient > 3 * plain.gradient
