"""Skip under torch's own machinery: compilers, exporters, autocast, memory formats, processes."""

import contextlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from torchskip.nn import Skip


def cases():
    conv = lambda: nn.Conv2d(4, 8, 3, stride=2, padding=1)  # noqa: E731
    same = lambda: nn.Conv2d(4, 4, 3, padding=1)  # noqa: E731
    down_up = lambda: nn.Sequential(nn.Conv2d(4, 6, 2, 2), nn.ConvTranspose2d(6, 4, 2, 2))  # noqa: E731
    return {
        "identity": Skip(same(), nn.BatchNorm2d(4)),
        "inplace": Skip(nn.ReLU(inplace=True), same()),
        "auto": Skip(conv(), nn.BatchNorm2d(8)),
        "valid": Skip(nn.Conv2d(4, 4, 3)),
        "project": Skip(conv(), shortcut="project"),
        "pad": Skip(conv(), shortcut="pad"),
        "concat": Skip(conv(), merge="concat"),
        "gate": Skip(conv(), merge="gate", scale="layerscale"),
        "maximum": Skip(same(), merge=torch.maximum, scale="rezero"),
        "hourglass": Skip(down_up()),
        "upsampling": Skip(nn.ConvTranspose2d(4, 4, 3, 2, 1, 1)),
        "keep": Skip(nn.Conv2d(4, 6, 2, 2, 2), nn.ReLU(inplace=True), keep="input"),
    }


NAMES = list(cases())


@pytest.fixture
def case(request):
    torch.manual_seed(0)
    return cases()[request.param].eval()


each = pytest.mark.parametrize("case", NAMES, indirect=True)


@each
def test_compile_without_a_break(case):
    torch._dynamo.reset()
    compiled = torch.compile(case, fullgraph=True, backend="aot_eager")
    for n in (12, 13):
        x = torch.randn(2, 4, n, n + 3, requires_grad=True)
        y = compiled(x)
        torch.testing.assert_close(y, case(x))
        y.sum().backward()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # raised inside inductor
def test_compile_with_inductor():
    torch._dynamo.reset()
    torch.manual_seed(0)
    skip = Skip(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(inplace=True), drop_path=0.2)
    compiled = torch.compile(skip.eval(), fullgraph=True)
    x = torch.randn(2, 3, 13, 12)
    torch.testing.assert_close(compiled(x), skip(x))


@each
def test_export_with_free_sizes(case):
    free = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    program = torch.export.export(case, (torch.randn(2, 4, 14, 18),), dynamic_shapes=(free,))
    for shape in ((2, 4, 14, 18), (3, 4, 22, 26)):
        x = torch.randn(shape)
        torch.testing.assert_close(program.module()(x), case(x))


@pytest.mark.filterwarnings("ignore")  # the exporter warns of its own dependencies
@pytest.mark.parametrize(
    "case",
    ["auto", "keep", *(pytest.param(n, marks=pytest.mark.slow) for n in NAMES)],
    indirect=True,
)
def test_onnx_round_trip(case):
    runtime = pytest.importorskip("onnxruntime")
    x = torch.randn(2, 4, 14, 18)
    program = torch.onnx.export(case, (x,), dynamo=True, verbose=False)
    buffer = io.BytesIO()
    program.save(buffer)
    session = runtime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(y), case(x), rtol=1e-4, atol=1e-5)


@each
def test_bf16_autocast(case):
    x = torch.randn(2, 4, 12, 13)
    with torch.autocast("cpu", torch.bfloat16):
        y = case(x)
    assert y.isfinite().all()
    torch.testing.assert_close(y.float(), case(x), rtol=0.1, atol=0.1)


@each
def test_channels_last(case):
    x = torch.randn(2, 4, 12, 13)
    case(x)
    last = case.to(memory_format=torch.channels_last)
    y = last(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(y, case(x), rtol=1e-4, atol=1e-5)
    assert y.is_contiguous(memory_format=torch.channels_last)


@each
def test_no_copy_is_left_in_an_exported_graph(case):
    graph = torch.export.export(case, (torch.randn(2, 4, 12, 12),)).graph
    clones = [n for n in graph.nodes if "clone" in str(n.target)]
    assert len(clones) == int(case._copies)


def run_worker(limit):
    """Run the two processes, and end their whole group after `limit` seconds."""
    worker = Path(__file__).with_name("ddp_worker.py")
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(worker)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        out, _ = process.communicate(timeout=limit)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out


def test_two_gloo_processes_agree():
    # Torch 2.13's gloo now and then hangs between two processes of one machine: start again.
    for _ in range(3):
        with contextlib.suppress(subprocess.TimeoutExpired):
            code, out = run_worker(75)
            break
    else:
        pytest.fail("the processes hung, three times")
    assert code == 0, out[-2000:]
    totals = next(line for line in out.splitlines() if line.startswith("TOTALS")).split()[1:]
    assert len(totals) == 2
    assert totals[0] == totals[1]
