"""`torchskip compare` from the command line to the report."""

import pytest

from torchskip.cli import main
from torchskip.prove.train import Training

QUICK = "compare --depths 8 --seeds 1 --width 4 --epochs 1 --train-per-class 20 --test-per-class 5"


def test_it_trains_and_reports(tmp_path, capsys):
    assert main([*QUICK.split(), "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "plain-8" in printed
    assert "At depth 8 " in printed
    assert f"report  {tmp_path}/report.html" in printed.replace("\n", "")
    assert (tmp_path / "report.html").exists()


NET = """
from torch import nn
from torchskip.nn import Skip

class Net(nn.Sequential):
    def __init__(self):
        branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 1))
        super().__init__(
            nn.Conv2d(1, 4, 3), Skip(branch), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(4, 10),
        )

class Other(Net):
    pass
"""


def test_a_network_of_ones_own(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")  # the temporary path may be long
    file, out = tmp_path / "net.py", tmp_path / "out"
    file.write_text(NET)
    quick = QUICK.replace("--depths 8", "--side 14").replace("--width 4", "").split()[1:]
    assert main(["compare", f"{file}:Net", *quick, "--out", str(out)]) == 0
    printed = capsys.readouterr().out.replace("\n", " ")
    assert "Cut from the plain twin: 1 identity" in printed
    assert "net.py:Net skips " in printed
    assert {"plain-seed-0", "residual-seed-0"} < {path.name for path in out.iterdir()}
    assert main(["compare", str(file), *quick, "--out", str(out)]) == 2
    assert "leads to several models (Net, Other)" in capsys.readouterr().err
    assert main(["compare", f"{file}:Net", "--depths", "8", "--out", str(out)]) == 2
    assert "depths=(8,) is for the built-in networks" in capsys.readouterr().err


def test_what_is_wrong_is_said_before_anything_is_trained(tmp_path, capsys):
    assert main(["compare", "--data", str(tmp_path / "nowhere")]) == 2
    assert "nowhere' does not exist\n  mend: " in capsys.readouterr().err
    assert main(["compare", "--depths", "20,21", "--out", str(tmp_path / "out")]) == 2
    assert "depth is 21" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_interrupted_comparison_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    def stop(self):
        raise KeyboardInterrupt("plain-8-seed-0 was stopped and saved at step 1 of 3")

    monkeypatch.setattr(Training, "_step", stop)
    assert main([*QUICK.split(), "--out", str(tmp_path)]) == 130
    assert "plain-8-seed-0 was stopped and saved at step 1 of 3" in capsys.readouterr().out


def test_bad_numbers_are_misuse():
    with pytest.raises(SystemExit) as caught:
        main(["compare", "--depths", "a"])
    assert caught.value.code == 2
