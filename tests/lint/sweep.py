"""Check whole zoos and write a line of JSON per model: its findings, skips and seconds of CPU.

    python -m tests.lint.sweep LOG [torchvision segmentation medical timm] [--timm 320]

Each model runs in a process of its own, so that one which crashes or does not end costs a line.
Models that the log has already are passed over.
"""

import argparse
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

import torch
from tests.lint.published import FAMILIES, build, names, operators

from torchskip.lint.check import check
from torchskip.trace import trace

__all__ = ["alone", "report"]

MOST_SECONDS = 300  # of CPU, for one model


def report(family, name):
    """What `check` says of one model, as plain values."""
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    try:
        model, examples = build(family, name)
    except Exception as error:
        return {"unbuilt": f"{type(error).__name__}: {error}".partition("\n")[0]}
    fits = (e for e in examples if trace(model, *e, training=False).failure is None)
    example = next(fits, examples[-1])
    start = time.process_time()
    found = check(model, *example)
    return {
        "seconds": round(time.process_time() - start, 2),
        "numbers": not any(p.is_meta for p in model.parameters()),
        "example": [list(getattr(x, "shape", ())) for x in example],
        "skips": len(found.skips),
        "findings": [[f.severity, f.code, f.module, f.message] for f in found.findings],
    }


def alone(family, name):
    """`report` in a child, which answers by a pipe; what ended it instead."""
    out, back = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
        try:
            answer = report(family, name)
        except BaseException as error:
            answer = {"crash": "".join(traceback.format_exception(error)[-12:])}
        with os.fdopen(back, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(back)
    with os.fdopen(out) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if text:
        return json.loads(text)
    return {"crash": signal.strsignal(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else status}


def prepare():
    """Import what the children need once, for all of them."""
    torch.set_num_threads(1)
    operators()
    for package in ("timm", "segmentation_models_pytorch", "monai.networks.nets"):
        importlib.import_module(package)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path)
    parser.add_argument("families", nargs="*")
    parser.add_argument("--timm", type=int, default=320)
    given = parser.parse_args()
    prepare()
    lines = given.log.read_text().splitlines() if given.log.exists() else []
    done = {(line["family"], line["name"]) for line in map(json.loads, lines)}
    with given.log.open("a") as log:
        for family, name in names(given.families or FAMILIES, given.timm):
            if (family, name) not in done:
                answer = {"family": family, "name": name, **alone(family, name)}
                print(json.dumps(answer), file=log, flush=True)
                worst = [f[1] for f in answer.get("findings", ()) if f[0] != "note"]
                print(family, name, answer.get("seconds"), worst, answer.get("crash", ""))


if __name__ == "__main__":
    sys.exit(main())
