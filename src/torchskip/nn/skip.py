"""`Skip`: any branch with the shortcut that fits it."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from torchskip.errors import ArgumentError, BranchInputError, GeometryError, TorchskipError
from torchskip.nn.droppath import DropPath
from torchskip.nn.merge import MERGES, Gate, Merge, concat, concat_features, refuse_broadcast
from torchskip.nn.probe import Probe, probe, smallest_input
from torchskip.nn.recompute import recompute as run_again
from torchskip.nn.restore import Restore
from torchskip.nn.scale import SCALES, FixedScale, LayerScale, ReZero, SkipInit
from torchskip.nn.shortcut import SHORTCUTS, derive_shortcut, projection
from torchskip.nn.twin import device_of, dtype_of
from torchskip.nn.where import locate

__all__ = ["Skip"]


class Skip(nn.Module):
    """A branch and the shortcut around it: ``y = merge(shortcut(x), branch(x))``.

    He, Zhang, Ren & Sun 2015, *Deep Residual Learning for Image Recognition*, eqs. 1 and 2.

    Shapes:
        ``(N, C_in, *n) -> (N, C_out, *m)``, the branch's own shape, with ``keep="branch"``;
        ``(N, C_in, *n) -> (N, C_in, *n)`` with ``keep="input"``. One, two or three spatial axes;
        ``(..., C_in) -> (..., C_out)`` for a branch of linear layers, with linear projections.

    Args:
        branch: one module, or several that run one after the other.
        merge: ``"add"``; ``"concat"`` along the channels (only the grids must agree);
            ``"gate"`` (highway); ``"multiply"``; or a callable or module ``(shortcut, branch)``.
        shortcut: ``"auto"``: nothing if the shapes agree for every input size, otherwise the
            cheapest module that has exactly the branch's output size for every input size and
            is centred on the same input pixels: zero padding and average pooling with the
            branch's stride, interpolation where the stride is no whole number, and a 1x1
            convolution only if the channels differ. ``"identity"``: always ``x``.
            ``"project"``: a strided 1x1 convolution (He et al. 2015, option B). ``"pool"``: like
            ``"auto"``, but never interpolates (He, T. et al. 2019, ResNet-D). ``"pad"``: a
            strided slice with channels of zeros (option A). Or any module.
        keep: ``"branch"`` gives the branch's shape. ``"input"`` brings the branch back to the
            input's shape by an aligned resize: output pixel ``p`` is centred on input pixel
            ``p``, for every size.
        drop_path: probability of dropping the branch of a sample in training
            (:class:`~torchskip.nn.DropPath`).
        scale: factor of the branch: ``"rezero"`` or ``"skipinit"`` (one learned number, first
            0), ``"layerscale"`` (one per channel, first 1e-6), a number (a constant), or a module.
        in_channels: settles the number of input channels where the branch does not tell it
            (lazy layers, layers that take any number).
        recompute: keep the branch's input alone in training, and run the branch once more in
            backward (:func:`~torchskip.nn.recompute.recompute`): less memory, more time.

    Everything is decided here, at construction, by running a copy of the branch on the meta
    device: all parameters exist before an optimizer asks for them. Branches whose first
    operation works in place get a copy of ``x``, other branches do not.

    Raises:
        ArgumentError: for an argument without meaning.
        GeometryError: when a shortcut must be derived and cannot be.
        MergeShapeError: in ``forward``, when the arms' shapes differ.
        BranchInputError: in ``forward``, when the branch cannot take the input.

    >>> block = Skip(nn.Conv2d(64, 128, 3, stride=2, padding=1), nn.BatchNorm2d(128))
    >>> block(torch.rand(1, 64, 33, 32)).shape
    torch.Size([1, 128, 17, 16])
    >>> block.shortcut
    Sequential(
      (pool): AvgPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))
      (project): Conv2d(64, 128, kernel_size=(1, 1), stride=(1, 1), bias=False)
    )

    """

    def __init__(
        self,
        *branch: nn.Module,
        merge: str | Merge = "add",
        shortcut: str | nn.Module = "auto",
        keep: Literal["branch", "input"] = "branch",
        drop_path: float = 0.0,
        scale: str | float | nn.Module | None = None,
        in_channels: int | None = None,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        _check(branch, merge, shortcut, keep, in_channels)
        self.branch = branch[0] if len(branch) == 1 else nn.Sequential(*branch)
        self.keep = keep
        self.recompute = recompute
        needed = keep == "input" or (isinstance(shortcut, str) and shortcut != "identity")
        self.probe, reason = _probe(self.branch, in_channels, needed)
        factory: dict[str, Any] = {"device": device_of(self.branch), "dtype": dtype_of(self.branch)}

        self.shortcut = shortcut if isinstance(shortcut, nn.Module) else nn.Identity()
        self.restore: nn.Module | None = None
        if self.probe is not None and keep == "input":
            self.restore = _restore(self.probe, factory)
        elif self.probe is not None and isinstance(shortcut, str):
            self.shortcut = derive_shortcut(
                shortcut, self.probe, channels=merge != "concat", **factory
            )

        spatial = self.probe.spatial if self.probe is not None else 2
        channels = None
        if self.probe is not None:
            channels = self.probe.in_channels if keep == "input" else self.probe.out_channels
        self.scale = _scale(scale, channels, spatial, reason, factory)
        self.drop_path = DropPath(drop_path) if drop_path != 0 else None
        self.merge: Callable[[Tensor, Tensor], Tensor]
        if merge == "gate":
            self.merge = Gate(_told(channels, 'merge="gate"', reason), spatial, **factory)
        elif merge == "concat" and spatial == 0:
            self.merge = concat_features
        else:
            self.merge = MERGES[merge] if isinstance(merge, str) else merge
        self._guards = not isinstance(merge, str)
        if self.probe is not None:
            self._copies = self.probe.overwrites
        else:
            self._copies = _says_inplace(self.branch)
        self._copies_shortcut = isinstance(shortcut, nn.Module) and _overwrites(
            shortcut, None if self.probe is None else self.probe.in_channels
        )

    def forward(self, x: Tensor) -> Tensor:
        """Merge ``shortcut(x)`` and ``branch(x)``."""
        try:
            x_branch = x.clone() if self._copies else x
            y = run_again(self.branch, x_branch) if self.recompute else self.branch(x_branch)
            if self.restore is not None:
                y = self.restore(y, x.shape[2:])
            if self.scale is not None:
                y = self.scale(y)
            if self.drop_path is not None:
                y = self.drop_path(y)
            arm = x
            shortcut: Any = self._modules["shortcut"]  # 0.25 microseconds less than an attribute
            if shortcut.__class__ is not nn.Identity:
                arm = shortcut(x.clone() if self._copies_shortcut else x)
        except RuntimeError as error:
            explained = self._explain(x, error)
            if explained is None:
                raise
            raise explained from error
        if self._guards:
            refuse_broadcast(arm, y)
        return self.merge(arm, y)

    def advise(self) -> str:
        """The mend for arms that do not meet: what ``shortcut="auto"`` would derive."""
        if self.probe is None:
            return "give a shortcut that ends on the branch's grid"
        if self.keep == "input":
            return 'keep="input" needs a shortcut that keeps the input\'s shape: "identity" does'
        strides = [str(g.stride) for g in self.probe.geometry] or ["1"]
        stride = strides[0] if len(set(strides)) == 1 else f"({', '.join(strides)})"
        if self.probe.keeps_size:
            what = "an identity"
        elif "/" in stride:
            what = "an interpolated"
        else:
            what = "a pooled" if stride != "1" else "a cropped or padded"
        concatenates = self.merge is concat or self.merge is concat_features
        if self.probe.in_channels != self.probe.out_channels and not concatenates:
            if self.probe.spatial == 0:
                return 'shortcut="auto" derives a linear projection'
            what = f"{what} 1x1 projection" if what != "an identity" else "a 1x1 projection"
        elif what != "an identity":
            what += " shortcut"
        derived = f'shortcut="auto" derives {what} (stride {stride})'
        if self.probe.keeps_size or self.probe.in_channels != self.probe.out_channels:
            return derived
        return f'{derived}, or keep="input" brings the branch back to the input\'s shape'

    def extra_repr(self) -> str:
        """Show what is not a submodule."""
        merge = "" if isinstance(self.merge, nn.Module) else getattr(self.merge, "__name__", "?")
        return ", ".join(
            part for part in (f"merge={merge}" if merge else "", f"keep={self.keep!r}") if part
        )

    def _explain(self, x: Tensor, error: RuntimeError) -> BranchInputError | None:
        """Say in the user's terms why the branch refused ``x``; None when it is not the shape."""
        if self.probe is None or torch.compiler.is_compiling() or x.dim() == 0:
            return None
        spatial, channels = self.probe.spatial, self.probe.in_channels
        axis, form = (1, "(batch, {}, ...)") if spatial else (-1, "(..., {})")
        place, _ = locate()
        start = (
            f"the branch of {place or 'a Skip'} cannot take its input\n  input     {tuple(x.shape)}"
        )
        if spatial and x.dim() != spatial + 2:
            need = f"expected  {spatial + 2} axes: (batch, channels, {spatial} spatial)"
            mend = "add the batch axis with x.unsqueeze(0)" if x.dim() == spatial + 1 else "reshape"
        elif channels is not None and x.shape[axis] != channels:
            need = f"expected  {form.format(channels)}, got {x.shape[axis]} channels"
            mend = f"give {channels} channels, or build the branch for {x.shape[axis]}"
        elif spatial == 0:
            return None
        else:
            least = smallest_input(self.branch, channels, tuple(x.shape[2:]))
            if least is None:
                return None
            need = f"expected  at least {least} pixels"
            mend = "give a larger image, or add padding or remove a stride in the branch"
        return BranchInputError(f"{start}\n  {need}\n  mend: {mend}")


def _check(branch: tuple[Any, ...], merge: Any, shortcut: Any, keep: Any, in_channels: Any) -> None:
    if not branch:
        raise ArgumentError(
            "the branch is empty: a Skip goes around something\n"
            "  mend: give its layers, as in Skip(nn.Conv2d(64, 64, 3, padding=1))"
        )
    for position, module in enumerate(branch):
        if not isinstance(module, nn.Module):
            raise ArgumentError(
                f"part {position} of the branch is a {type(module).__name__}, not an nn.Module\n"
                f"  mend: pass layers one by one: Skip(conv, norm); unpack lists, Skip(*layers)"
            )
    _one_of("merge", merge, (*MERGES, "gate"), "a callable of (shortcut, branch)", callable(merge))
    is_module = isinstance(shortcut, nn.Module)
    _one_of("shortcut", shortcut, SHORTCUTS, "an nn.Module", is_module)
    _one_of("keep", keep, ("branch", "input"), "", False)
    if in_channels is not None and (not isinstance(in_channels, int) or in_channels < 1):
        raise ArgumentError(
            f"in_channels is {in_channels!r}\n  mend: give the number of input channels, 1 or more"
        )
    if keep == "input" and merge == "concat":
        raise ArgumentError(
            'keep="input" and merge="concat" exclude each other: a concatenation has more '
            'channels than the input\n  mend: use merge="add", or keep="branch"'
        )
    if keep == "input" and isinstance(shortcut, str) and shortcut not in ("auto", "identity"):
        raise ArgumentError(
            f'keep="input" and shortcut="{shortcut}" exclude each other: the input already has '
            f'the result\'s shape\n  mend: leave shortcut="auto"'
        )


def _one_of(name: str, value: Any, names: tuple[str, ...], other: str, is_other: bool) -> None:
    if is_other or (isinstance(value, str) and value in names):
        return
    options = ", ".join(f'"{n}"' for n in names) + (f", or {other}" if other else "")
    raise ArgumentError(f"{name}={value!r} is unknown\n  mend: one of {options}")


def _probe(branch: nn.Module, in_channels: int | None, needed: bool) -> tuple[Probe | None, str]:
    """What the probe found; without it, the reason, unless it is needed."""
    try:
        return probe(branch, in_channels), ""
    except GeometryError as error:
        if needed:
            raise
        return None, str(error)


def _overwrites(module: nn.Module, in_channels: int | None) -> bool:
    try:
        return probe(module, in_channels).overwrites
    except TorchskipError:
        return _says_inplace(module)


def _says_inplace(module: nn.Module) -> bool:
    """The careful answer where a module cannot be probed: copying costs less than a wrong sum."""
    return any(getattr(m, "inplace", False) for m in module.modules())


def _restore(found: Probe, factory: dict[str, Any]) -> Restore | None:
    project = None
    if found.in_channels != found.out_channels:
        project = projection(found.out_channels, found.in_channels, found.spatial, **factory)
    if project is None and found.keeps_grid:
        return None
    return Restore(found.geometry, project)


def _scale(
    scale: Any, channels: int | None, spatial: int, reason: str, factory: dict[str, Any]
) -> nn.Module | None:
    if scale is None or isinstance(scale, nn.Module):
        return scale
    if isinstance(scale, int | float) and not isinstance(scale, bool):
        return FixedScale(scale)
    _one_of("scale", scale, SCALES, "a finite number, an nn.Module or None", False)
    if scale == "layerscale":
        return LayerScale(_told(channels, 'scale="layerscale"', reason), spatial, **factory)
    return ReZero(**factory) if scale == "rezero" else SkipInit(**factory)


def _told(channels: int | None, what: str, reason: str) -> int:
    if channels is None:
        raise GeometryError(
            f"{what} needs the branch's number of channels, which its layers do not tell\n"
            + (f"  because   {reason}\n" if reason else "")
            + "  mend: pass in_channels=..."
        )
    return channels
