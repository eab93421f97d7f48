"""Exported files compute what the model computes, or are not there."""

import contextlib
import json
import signal
import time

import numpy as np
import pytest
import torch
from torch import nn

from torchskip.cli import main
from torchskip.deploy.export import export
from torchskip.errors import ExportError
from torchskip.nn import Skip

onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter's own deprecations


def model():
    torch.manual_seed(0)
    branch = (nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8))
    return nn.Sequential(Skip(*branch), nn.ReLU(), nn.Conv2d(8, 4, 1)).eval()


def test_onnx_takes_other_sizes(tmp_path):
    net, x = model(), torch.rand(1, 3, 20, 24)
    done = export(net, x, tmp_path / "net.onnx")
    assert (done.dynamic, done.refused) == ("batch, height and width", ())
    assert done.opset is not None
    assert done.opset >= 17
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    for shape in ((1, 3, 20, 24), (5, 3, 33, 17)):
        x = torch.rand(shape)
        (result,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        np.testing.assert_allclose(result, net(x).detach().numpy(), rtol=1e-4, atol=1e-5)
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


def test_a_fixed_size_is_said(tmp_path):
    net = nn.Sequential(model(), nn.Flatten(), nn.Linear(4 * 8 * 8, 2)).eval()
    done = export(net, torch.rand(2, 3, 16, 16), tmp_path / "net.onnx")
    assert done.dynamic == "batch"
    assert len(done.refused) == 1
    assert done.refused[0].startswith("batch, height and width: ")


def test_export_archive(tmp_path):
    done = export(model(), torch.rand(2, 3, 16, 16), tmp_path / "net.pt2", to="export")
    again = torch.export.load(tmp_path / "net.pt2").module()
    x = torch.rand(3, 3, 40, 16)
    torch.testing.assert_close(again(x), model()(x))
    assert done.opset is None


def test_an_archive_of_any_name_is_read_back_without_a_word(tmp_path, caplog):
    export(model(), torch.rand(2, 3, 16, 16), tmp_path / "net.archive", to="export")
    assert [p.name for p in tmp_path.iterdir()] == ["net.archive"]
    assert [r for r in caplog.records if r.levelname == "WARNING"] == []


def test_weights_in_a_file_beside_come_along(tmp_path, monkeypatch):
    save = torch.onnx.ONNXProgram.save  # puts weights beyond 2 GB in a file of their own
    monkeypatch.setattr(
        torch.onnx.ONNXProgram, "save", lambda self, path: save(self, path, external_data=True)
    )
    net, x = model(), torch.rand(1, 3, 20, 24)
    export(net, x, tmp_path / "net.onnx")
    assert {p.name for p in tmp_path.iterdir()} == {"net.onnx", "net.onnx.data"}
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    (result,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(result, net(x).detach().numpy(), rtol=1e-4, atol=1e-5)


class Slow(nn.Module):
    """Takes its time wherever a size is not fixed, and holds on to it."""

    def forward(self, x):
        if not isinstance(x.shape[-1], int):
            with contextlib.suppress(Exception):
                time.sleep(60)
        return x * 2


def test_a_choice_of_axes_that_takes_too_long_is_left(tmp_path):
    done = export(Slow().eval(), torch.rand(1, 3, 8, 8), tmp_path / "net.onnx", patience=3)
    assert done.dynamic == "batch"
    assert done.refused == ("batch, height and width: not exported within 3 s",)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


class Lies(nn.Module):
    """Computes something else while it is exported."""

    def forward(self, x):
        return x * (2.0 if torch.compiler.is_exporting() else 1.0)


def test_a_file_that_differs_is_not_written(tmp_path):
    (tmp_path / "net.onnx").write_text("the old one")
    with pytest.raises(
        ExportError, match=r"differs from the model by 1\.0e\+00 .* nothing was written"
    ):
        export(Lies().eval(), torch.rand(1, 3), tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_text() == "the old one"
    assert len(list(tmp_path.iterdir())) == 1


def test_refusals(tmp_path):
    with pytest.raises(ExportError, match="training mode"):
        export(model().train(), torch.rand(1, 3, 8, 8), tmp_path / "a.onnx")
    with pytest.raises(ExportError, match="there is no directory"):
        export(model(), torch.rand(1, 3, 8, 8), tmp_path / "b" / "a.onnx")


def test_verb(tmp_path, capsys, monkeypatch):
    (tmp_path / "made.py").write_text(
        "from torch import nn\n\n"
        "def make():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())\n"
    )
    spec = f"{tmp_path}/made.py:make"
    file = tmp_path / "net.onnx"
    assert main(["export", spec, str(file), "--input", "1,3,16,16", "--format", "json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["dynamic"] == "batch, height and width"
    assert file.exists()
