"""The command line as a user meets it."""

import json
from importlib import metadata

import pytest

import torchskip
from torchskip.cli import main

PUBLISHED = """
import torch
from torch import nn

class SkipConnection(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv_layer1 = nn.Conv2d(3, 6, 2, stride=2, padding=2)
        self.relu = nn.ReLU(inplace=True)
        self.conv_layer2 = nn.Conv2d(6, 3, 2, stride=2, padding=2)
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, input):
        x = self.relu(self.conv_layer1(input))
        return input + self.relu2(self.conv_layer2(x))

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        print("noise")
        return x + self.conv(x)

SkipConnection()(torch.rand(1, 3, 32, 32))
"""


@pytest.fixture
def published(tmp_path):
    path = tmp_path / "published.py"
    path.write_text(PUBLISHED)
    return str(path)


def test_explain_walks_to_the_crash(published, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "240")
    assert main(["explain", published]) == 1
    out, err = capsys.readouterr()
    assert ("noise" in out, "noise" in err) == (False, True)
    assert "SkipConnection, input 1,3,32,32 (from published.py line 26)" in out
    assert "⌊(18 + 2·2 − 2) / 2⌋ + 1 = 11 per side" in out
    assert (
        "fails: the shortcut still has shape (1, 3, 32, 32), the branch has become (1, 3, 11, 11); "
        "axes 2, 3 must agree before the two can meet"
    ) in out
    assert "Two, input 1,3,32,32" in out


def test_inspect_prints_one_record_a_line(published, capsys):
    assert main(["inspect", published, "--format", "json"]) == 1
    printed = capsys.readouterr()
    records = [json.loads(line) for line in printed.out.splitlines()]
    assert len(records) == 2
    assert "noise" in printed.err
    assert "not inspected" in printed.err


@pytest.mark.parametrize(("form", "start"), [("html", "<!doctype html>"), ("svg", "<svg")])
def test_inspect_draws_into_a_file(published, form, start, tmp_path, capsys):
    out = tmp_path / f"drawn.{form}"
    assert main(["inspect", published + ":Two", "--format", form, "--out", str(out)]) == 0
    assert out.read_text().lower().startswith(start)


def test_a_picture_is_of_one_model(published, capsys):
    assert main(["inspect", published, "--format", "svg"]) == 2
    assert capsys.readouterr().err == (
        f"torchskip: {published} leads to several models (SkipConnection, Two) and svg draws one; "
        f"mend: {published}:SkipConnection\n"
    )


def test_the_tree_says_input_and_totals(capsys):
    assert main(["inspect", "torchvision/resnet18", "--input", "1,3,64,64"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("torchvision/resnet18, input 1,3,64,64 (given)\n")
    assert out.rstrip().endswith("8 skip connections: 5 identity, 3 projection")


TAKES = """
from torch import nn
class Batch(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 3, 3, padding=1)
    def forward(self, batch):
        x, mask = batch
        return x + self.a(x)
class Misfit(Batch):
    def forward(self, x):
        return x + self.a(x[:, :, 1:])
"""


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["Batch"], 2), (["Batch", "--input", "1,3,8,8"], 1), (["Misfit"], 1)],
)
def test_a_guess_that_fails_is_no_fault_of_the_models(arguments, status, tmp_path, capsys):
    path = tmp_path / "takes.py"
    path.write_text(TAKES)
    assert main(["inspect", f"{path}:{arguments[0]}", *arguments[1:]]) == status
    told = capsys.readouterr()
    assert ("The forward pass stopped" in told.out) is (status == 1)
    assert ("Batch: its input is unknown: 1,3,32,32 (inf" in told.err) is (status == 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "gone.py"], "torchskip: there is no file 'gone.py'\n"),
        (["inspect", "torch.nn:ReLU"], "torchskip: torch.nn:ReLU: ReLU has no layer that tells "
         "its input's shape; mend: --input 1,3,224,224 (or pass an example tensor)\n"),
        (["explain", "torch.nn:ReLU", "--input", "1,x"],
         "torchskip: '1,x' is no shape; mend: --input 1,3,32,32\n"),
    ],
)  # fmt: skip
def test_misuse_is_one_message_and_status_2(arguments, message, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err == message


def test_the_version_is_the_packages_and_torchs(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == (
        f"torchskip {torchskip.__version__}, torch {metadata.version('torch')}\n"
    )
