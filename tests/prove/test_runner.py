"""`compare`: what it leaves behind, and that nothing is lost when it is broken off."""

import contextlib
import io
import json
import math
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from torch import nn

from torchskip.errors import TrainingError
from torchskip.prove import Experiment, Plan, compare
from torchskip.prove.train import Training

PLAN = Plan(epochs=2, batch=40)


def experiment(out, **options):
    settings = {"depths": (8,), "seeds": 1, "width": 4, "plan": PLAN, "accelerator": "cpu"}
    return Experiment(**settings | {"out": out, "checkpoint_every": 3} | options)


def weights(directory):
    return {path.parent.name: load_file(path) for path in sorted(directory.rglob("*.safetensors"))}


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[run][name], second[run][name]) for run in first for name in first[run]
    )


def test_every_depth_and_seed_in_pairs(few, tmp_path):
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    found = compare(
        experiment(tmp_path / "out", depths=(8, 14), seeds=2, first_seed=5, plan=Plan(epochs=1)),
        images=few,
        console=console,
    )
    assert [(run.network, run.depth, run.seed) for run in found.runs] == [
        (network, depth, seed)
        for seed in (5, 6)
        for depth in (8, 14)
        for network in ("plain", "residual")
    ]
    assert "residual-14-seed-6" in console.file.getvalue()
    directory = tmp_path / "out/plain-8-seed-5"
    assert sorted(path.name for path in directory.iterdir()) == [
        "epochs.csv",
        "run.json",
        "steps.csv",
        "weights.safetensors",
    ]
    run = found.runs[0]
    lines = (directory / "steps.csv").read_text().splitlines()
    assert lines[0] == "step,loss,correct,gradient,lr"
    assert len(lines) == 1 + len(run.steps)
    assert float(lines[2].split(",")[1]) == run.steps[1].loss
    inside = [run.anatomy is not None for run in found.runs]
    assert inside == [False, False, True, True] + 4 * [False]  # depth 14 of the first seed
    page = (tmp_path / "out/report.html").read_text()
    assert page.count("<figure>") == 13
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "NaN" not in (tmp_path / "out/results.json").read_text()
    assert len(json.loads((tmp_path / "out/results.json").read_text())["runs"]) == 8


def test_the_generators_of_the_caller_are_left_alone(few, tmp_path):
    before = torch.random.get_rng_state()
    compare(experiment(tmp_path, plan=Plan(epochs=1)), images=few)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_finished_runs_are_kept_and_earlier_results_never_overwritten(few, tmp_path):
    first = compare(experiment(tmp_path), images=few)
    with pytest.raises(TrainingError) as caught:
        compare(experiment(tmp_path), images=few)
    assert str(caught.value) == (
        f"{tmp_path} holds the runs of an earlier comparison\n"
        "  mend: resume=True (--resume) goes on with them; or choose another directory (--out)"
    )
    again = compare(experiment(tmp_path, resume=True), images=few)
    assert repr(again.runs) == repr(first.runs)  # to the second: read, not made anew
    more = compare(experiment(tmp_path, resume=True, seeds=2), images=few)
    assert repr(more.runs[:2]) == repr(first.runs)
    assert len(more.runs) == 4


def test_results_of_other_settings_are_refused(few, tmp_path):
    compare(experiment(tmp_path, plan=Plan(epochs=1)), images=few)
    with pytest.raises(TrainingError) as caught:
        compare(experiment(tmp_path, resume=True, plan=Plan(epochs=1), width=8), images=few)
    assert f"{tmp_path}/plain-8-seed-0/run.json is of another training\n  weights: " in str(
        caught.value
    )


class Breaking(nn.Module):
    """Answers with NaN from its fifth training batch on."""

    def __init__(self):
        super().__init__()
        self.net, self.calls = nn.Sequential(nn.Flatten(), nn.Linear(196, 10)), 0

    def forward(self, x):
        stepping = self.training and torch.is_grad_enabled()
        self.calls += stepping
        return self.net(x) * (float("nan") if stepping and self.calls > 4 else 1.0)


def test_a_diverged_network_is_a_result_and_the_others_go_on(few, tmp_path):
    def twins(depth, seed):
        return {"plain": Breaking(), "residual": nn.Sequential(nn.Flatten(), nn.Linear(196, 10))}

    plain, residual = compare(experiment(tmp_path), images=few, twins=twins).runs
    assert (plain.status, len(plain.steps)) == ("diverged", 4)
    assert residual.status == "finished"
    assert math.isfinite(plain.train_loss)
    assert "diverged" in (tmp_path / "report.html").read_text()


def signalled(images, out, at, number):
    """Compare, and send a signal to this very process in the middle of step `at`; what came?"""
    step = Training._step

    def stopping(self):
        if len(self.steps) == at:
            os.kill(os.getpid(), number)
        return step(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "_step", stopping)
        with pytest.raises(KeyboardInterrupt) as caught:
            compare(experiment(out), images=images)
    return str(caught.value)


@pytest.fixture(scope="module")
def whole(few, tmp_path_factory):
    """The weights of the comparison that nobody broke off."""
    out = tmp_path_factory.mktemp("whole")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    compare(experiment(out), images=few)
    torch.set_num_threads(threads)
    return weights(out)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_saves_where_it_stands_and_resumes_bit_identical(few, tmp_path, whole, number):
    handler = signal.getsignal(number)
    assert signalled(few, tmp_path, 6, number) == (
        "plain-8-seed-0 was stopped and saved at step 7 of 10; go on with resume=True (--resume)"
    )
    assert signal.getsignal(number) is handler
    assert [p.name[:14] for p in sorted(tmp_path.rglob("*.ckpt"))][-1] == "step-000000007"
    assert not weights(tmp_path)
    compare(experiment(tmp_path, resume=True), images=few)
    assert same(weights(tmp_path), whole)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_truncated_checkpoint_is_named_and_the_one_before_used(few, tmp_path, whole):
    signalled(few, tmp_path, 6, signal.SIGINT)
    older, newer = sorted(tmp_path.rglob("*.ckpt"))
    assert older.name[:14] == "step-000000006"
    newer.write_bytes(newer.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=f"{newer} is damaged: "):
        compare(experiment(tmp_path, resume=True), images=few)
    assert same(weights(tmp_path), whole)


def test_a_full_disk_stops_with_a_message_and_loses_nothing(few, tmp_path, whole, monkeypatch):
    replace = os.replace

    def full(source, target):
        if "step-000000005" in str(target):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(TrainingError) as caught:
        compare(experiment(tmp_path), images=few)
    monkeypatch.undo()
    assert "bytes): No space left on device\n  mend: make room" in str(caught.value)
    assert [p.name[:14] for p in tmp_path.rglob("*.ckpt")] == ["step-000000003"]
    compare(experiment(tmp_path, resume=True), images=few)
    assert same(weights(tmp_path), whole)


def process(*arguments, limit=150):
    """Run Python with a hard limit of seconds, after which its whole process group ends."""
    child = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        text, _ = child.communicate(timeout=limit)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    return child.returncode, text


KILLED = """
import os, signal, sys
from pathlib import Path
from torchskip import data
from torchskip.prove import Experiment, Plan, compare, train

step = train.Training._step

def killing(self):
    if len(self.steps) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self)

train.Training._step = killing
compare(
    Experiment(
        depths=(8,), seeds=1, width=4, plan=Plan(epochs=2, batch=40), accelerator="cpu",
        out=Path(sys.argv[1]), checkpoint_every=3,
    ),
    images=data.load("fashion-mnist", size=14, train_per_class=20, test_per_class=5),
)
"""


def test_killed_in_mid_epoch_and_resumed_is_bit_identical(few, tmp_path, whole):
    code, text = process("-c", KILLED, tmp_path)
    assert code == -signal.SIGKILL, text
    assert [path.name[:14] for path in tmp_path.rglob("*.ckpt")] == ["step-000000003"]
    compare(experiment(tmp_path, resume=True), images=few)
    assert same(weights(tmp_path), whole)


TWO = """
import sys
from pathlib import Path
import torch
from torch import nn
from torchskip import data
from torchskip.prove import Experiment, Plan, compare
from torchskip.prove.train import Training

def twins(depth, seed):
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.GroupNorm(2, 8), nn.ReLU(),
        nn.Flatten(), nn.Linear(392, 10))
    net.add_module("more than a pipe holds " * 3000, nn.Linear(10, 10))
    return {"plain": net}

def main(out, devices):
    compare(
        Experiment(depths=(3,), seeds=1, plan=Plan(epochs=4, batch=40, lr=0.02),
                   accelerator="cpu", devices=devices, out=out),
        images=data.load("fashion-mnist", size=14, train_per_class=20, test_per_class=5),
        twins=twins,
    )

if __name__ == "__main__":
    main(Path(sys.argv[1]), 2)
"""

STOPPED = """
import os, signal

step = Training._step

def stopping(self):
    if len(self.steps) == 6 and self.fabric.is_global_zero:
        os.kill(os.getppid(), signal.SIGTERM)
    return step(self)

Training._step = stopping
"""


def test_two_processes_get_the_numbers_of_one(tmp_path):
    """Batch statistics are each process's own, so this network normalises by groups."""
    script = tmp_path / "two.py"
    script.write_text(TWO)
    runpy.run_path(str(script))["main"](tmp_path / "1", 1)
    # Torch 2.13's gloo now and then hangs between two processes of one machine: seen once in 12
    # runs. What is tested here is the numbers, so a hanging pair is ended and started again.
    for _ in range(3):
        with contextlib.suppress(subprocess.TimeoutExpired):
            shutil.rmtree(tmp_path / "2", ignore_errors=True)
            code, text = process(script, tmp_path / "2", limit=75)
            break
    else:
        pytest.fail("two processes hung, three times")
    assert code == 0, text
    one, two = (weights(tmp_path / n)["plain-3-seed-0"] for n in "12")
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-5
    first, second = (
        json.loads((tmp_path / n / "results.json").read_text())["runs"][0] for n in "12"
    )
    assert len(first["steps"]) == 20
    for ours, theirs in zip(first["steps"], second["steps"], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-5)
        assert ours["correct"] == theirs["correct"]
    assert first["test_accuracy"] == second["test_accuracy"]


@pytest.mark.slow
def test_two_processes_whose_parent_is_terminated_save_and_say_so(tmp_path):
    script = tmp_path / "stopped.py"
    script.write_text(TWO.replace("def main", STOPPED + "\ndef main"))
    code, text = process(script, tmp_path / "out")
    assert code != 0
    assert "KeyboardInterrupt: plain-3-seed-0 was stopped and saved at step" in text
    saved = sorted(path.name for path in tmp_path.rglob("*.ckpt"))[-1]
    assert f"step {int(saved[5:14])} of 20" in text
    code, text = process(script, tmp_path / "out")  # and what it refuses comes without a traceback
    assert "TrainingError: " in text.splitlines()[-2]
    assert "holds the runs of an earlier comparison" in text.splitlines()[-2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depths": ()}, "no depth is given\n  mend: such as depths=(20, 56)"),
        ({"seeds": 0}, "seeds is 0\n  mend: 1 or more"),
        (
            {"devices": 3, "plan": Plan(batch=64)},
            "a batch of 64 cannot be shared evenly by 3 devices\n  mend: batch=63",
        ),
    ],
)
def test_impossible_experiments(options, message):
    with pytest.raises(TrainingError) as caught:
        Experiment(**options)
    assert str(caught.value) == message
