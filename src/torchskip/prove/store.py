"""The directory of one run: its curves as CSV, its record as JSON, its weights, its checkpoints."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import nn

from torchskip.errors import TrainingError
from torchskip.prove.checkpoint import Checkpoints, check_facts
from torchskip.prove.files import write, write_bytes
from torchskip.prove.records import Epoch, Run, Step, to_json
from torchskip.prove.train import Training

__all__ = ["RunStore"]


class RunStore:
    """What a run leaves in `directory`.

    `steps.csv` and `epochs.csv` grow with every checkpoint; `run.json` and
    `weights.safetensors` appear at the end, when the checkpoints go.
    """

    def __init__(self, directory: Path, facts: Mapping[str, Any]) -> None:
        self.directory = directory
        self.facts = json.loads(json.dumps(facts))
        self.checkpoints = Checkpoints(directory / "checkpoints", facts)
        self._boarded = (0, 0)

    def finished(self) -> Run | None:
        """Return the record of the run if it has ended.

        Raises:
            TrainingError: the record is damaged, or of a run with other settings.

        """
        path = self.directory / "run.json"
        if not path.exists():
            return None
        try:
            saved = json.loads(path.read_text("utf-8"))
            run, facts = Run.from_record(saved["run"]), saved["facts"]
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingError(
                f"{path} cannot be read: {error}\n  mend: remove it to train this network again"
            ) from error
        check_facts(path, facts, self.facts)
        return run

    def save(self, training: Training, state: Mapping[str, Any]) -> None:
        """Write a checkpoint and the curves so far."""
        self.checkpoints.save(len(training.steps), state)
        self._curves(training)

    def finish(self, training: Training, run: Run) -> None:
        """Write the record, the curves and the weights of the ended training."""
        self._curves(training)
        write_bytes(self.directory / "weights.safetensors", _safetensors(training.network))
        write(self.directory / "run.json", to_json({"facts": self.facts, "run": asdict(run)}))
        self.checkpoints.clear()

    def _curves(self, training: Training) -> None:
        write(self.directory / "steps.csv", _csv(Step, training.steps, leave="layers"))
        write(self.directory / "epochs.csv", _csv(Epoch, training.epochs))
        if importlib.util.find_spec("tensorboard") is not None:
            self._board(training)

    def _board(self, training: Training) -> None:
        """Hand what is new to TensorBoard; the first time all, in place of an earlier process's."""
        from torch.utils.tensorboard import SummaryWriter

        steps, epochs = self._boarded
        again = 0 if self._boarded == (0, 0) else None
        with SummaryWriter(str(self.directory / "tensorboard"), purge_step=again) as board:
            for step in training.steps[steps:]:
                for name in ("loss", "gradient", "lr"):
                    board.add_scalar(f"step/{name}", getattr(step, name), step.step)
            for epoch in training.epochs[epochs:]:
                board.add_scalar("epoch/test_accuracy", epoch.test_accuracy, epoch.epoch)
        self._boarded = len(training.steps), len(training.epochs)


def _csv(kind: type, rows: Sequence[Any], leave: str = "") -> str:
    names = [field.name for field in fields(kind) if field.name != leave]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([getattr(row, name) for name in names] for row in rows)
    return text.getvalue()


def _safetensors(model: nn.Module) -> bytes:
    """Return the state dict with every tensor written out, shared memory or not."""
    values = model.state_dict().items()
    return save({name: value.detach().cpu().clone().contiguous() for name, value in values})
