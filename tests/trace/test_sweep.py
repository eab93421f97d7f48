"""Whole zoos: no failure, nothing changed. `python -m tests.trace.test_sweep` prints failures."""

import gc
import sys
import time

import pytest
import torch
from tests.trace import zoo

from torchskip.trace import trace

# Their post-processing needs operators that only a full build of torchvision has.
DETECTION = ("rcnn", "ssd", "retina", "fcos")
SMALL = ["resnet18", "densenet121", "shufflenet_v2_x0_5", "mobilenet_v2", "squeezenet1_1"]


def check(model, *example):
    """Trace `model`; return the graph, and what is wrong with it."""
    before = zoo.fingerprint(model)
    graph = trace(model, *example)
    if zoo.fingerprint(model) != before:
        return graph, "the model changed"
    if graph.failure is not None:
        return graph, f"{graph.failure.error}: {graph.failure.message}"
    return graph, None if graph.outputs else "no outputs"


@pytest.mark.parametrize("name", SMALL)
def test_torchvision(name):
    graph, wrong = check(*zoo.torchvision_model(name))
    assert wrong is None
    assert graph.device == "meta"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*zoo.torchvision_names()} - {*SMALL}))
def test_all_of_torchvision(name):
    graph, wrong = check(*zoo.torchvision_model(name))
    if any(part in name for part in DETECTION):
        assert wrong is None or "torchvision" in wrong
        assert len(graph.nodes) > 100
    else:
        assert wrong is None


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_timm():
    assert sweep(zoo.timm_names()[:640]) == []


def sweep(names):
    """Trace timm models by name; print and return the failures."""
    failures = []
    for name in names:
        try:
            model, x = zoo.timm_model(name)
        except (RuntimeError, ImportError, ValueError) as error:
            print(f"{name}: cannot be built here: {error}")
            continue
        start = time.perf_counter()
        graph, wrong = check(model, x)
        print(f"{name} {graph.device} {len(graph.nodes)} {time.perf_counter() - start:.2f} s")
        if wrong is not None:
            failures.append((name, wrong))
            print(f"FAILED {name}: {wrong} at {graph.failure and graph.failure.source}")
        del model, graph
        gc.collect()
    return failures


if __name__ == "__main__":
    torch.set_num_threads(1)
    first, last = (int(n) for n in sys.argv[1:3]) if len(sys.argv) > 2 else (0, 640)
    print(sweep(zoo.timm_names()[first:last]))
