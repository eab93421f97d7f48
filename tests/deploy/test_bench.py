"""The bench measures what it says, and says what is absent."""

import json
import time

import pytest
import torch
from torch import nn

from torchskip.cli import main
from torchskip.deploy.bench import bench, turn
from torchskip.errors import TorchskipError


def test_rounds_ratios_and_differences():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()).eval()
    done = bench(
        net, torch.rand(2, 3, 16, 16), runtimes=("eager", "channels-last", "fused"), rounds=3
    )
    assert [t.runtime for t in done.timings] == ["eager", "channels-last", "fused"]
    assert all(len(t.seconds) == 3 and min(t.seconds) > 0 for t in done.timings)
    assert all(t.difference < 1e-5 for t in done.timings)
    assert done.ratio("eager") == 1.0
    record = done.record()
    assert record["timings"][2]["median"] == done.timings[2].median
    assert json.loads(json.dumps(record))["shapes"] == [[2, 3, 16, 16]]


def test_page_faults_are_counted_in_every_round():
    done = bench(nn.ReLU().eval(), torch.rand(1), runtimes=("fused",), rounds=3)
    assert [len(t.seconds) for t in done.timings] == [3, 3]
    assert all(len(t.faults) in (0, 3) for t in done.timings)


@pytest.mark.parametrize(("seconds", "calls"), [(0.0, 4), (0.3, 3), (0.6, 2)])
def test_a_turn_is_a_call_that_is_not_timed_and_a_few_that_are(seconds, calls):
    called = []

    def run():
        called.append(time.sleep(2 if not called and not seconds else seconds))

    took, _ = turn(run, torch.device("cpu"))
    assert len(called) == calls
    assert seconds <= took < seconds + 1


def test_the_time_of_the_export_is_told_apart():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    net, x = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), torch.rand(2, 3, 8, 8)
    done = bench(net, x, runtimes=("onnxruntime",), rounds=1)
    assert done.exported.wall > 0
    assert "the export to ONNX" in done.table()
    assert [t.runtime for t in done.timings] == ["eager", "onnxruntime"]
    assert done.timings[1].difference < 1e-5
    assert bench(net, x, runtimes=("fused",), rounds=1).exported is None


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


def test_a_runtime_that_cannot_is_absent_with_the_reason():
    done = bench(Noisy().eval(), torch.rand(1, 3), runtimes=("fused",), rounds=1)
    assert [t.runtime for t in done.timings] == ["eager"]
    assert dict(done.absent)["fused"].startswith("cannot fuse the model: it draws random numbers")
    assert "fused           absent: cannot fuse" in done.table()


def test_refusals():
    with pytest.raises(TorchskipError, match="'tensorrt' is no runtime"):
        bench(nn.ReLU().eval(), torch.rand(1), runtimes=("tensorrt",))
    with pytest.raises(TorchskipError, match="0 rounds"):
        bench(nn.ReLU().eval(), torch.rand(1), rounds=0)


def test_verb(capsys, tmp_path):
    (tmp_path / "made.py").write_text(
        "from torch import nn\n\n"
        "def make():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())\n"
    )
    spec = f"{tmp_path}/made.py:make"
    words = ["--input", "1,3,16,16", "--runtimes", "eager", "fused", "--rounds", "2"]
    assert main(["bench", spec, *words]) == 0
    assert "2 interleaved rounds" in capsys.readouterr().out
    assert main(["bench", spec, *words, "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1
