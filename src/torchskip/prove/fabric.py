"""Lightning Fabric, set up for a plan: it places, reduces, mixes precision and launches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchskip.errors import TrainingError
from torchskip.prove.plan import Plan

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["make_fabric"]


def make_fabric(
    plan: Plan, *, accelerator: str = "auto", devices: int = 1, nodes: int = 1
) -> Fabric:
    """Return a Fabric on `devices` devices of `accelerator` on each of `nodes` machines.

    Raises:
        TrainingError: the extra `train` is not installed, or the devices are not there.

    """
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise TrainingError(
            "training needs lightning-fabric, which is not installed\n"
            '  mend: pip install "torchskip[train]"'
        ) from error
    try:
        return Fabric(
            accelerator=accelerator,
            strategy=_strategy(devices * nodes),
            devices=devices,
            num_nodes=nodes,
            precision=plan.precision,
        )
    except Exception as error:  # lightning's own class for this is private
        raise TrainingError(
            f"cannot train on {devices} x {accelerator} of {nodes} machines: {error}\n"
            "  mend: fewer devices, or accelerator='cpu'"
        ) from error


def _strategy(world: int) -> str:
    """Spawn our own processes, unless torchrun or a cluster's scheduler has started them."""
    if world == 1:
        return "auto"
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    started = TorchElasticEnvironment.detect() or SLURMEnvironment.detect()
    return "ddp" if started else "ddp_spawn"
