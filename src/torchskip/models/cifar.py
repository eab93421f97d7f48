"""Plain and residual twins for small images: He, Zhang, Ren & Sun 2015, section 4.2."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from torchskip.errors import ArgumentError
from torchskip.nn.skip import Skip

__all__ = [
    "CifarNet",
    "plainnet",
    "resnet",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "resnet110",
]


class CifarNet(nn.Module):
    """A network of ``6 n + 2`` weighted layers in three stages: He et al. 2015, section 4.2.

    Every block computes ``y = relu(x + f(x))``, ``f`` two 3 x 3 convolutions with batch
    normalisation; its plain twin computes ``y = relu(f(x))``. With one random state both start
    from the same weights under the same names, whatever the shortcut.

    Shapes:
        ``(N, in_channels, H, W) -> (N, num_classes)``, any ``H`` and ``W`` of at least 1.

    Args:
        depth: number of weighted layers, ``6 n + 2``: 20, 32, 44, 56, 110 in the paper.
        skip: with shortcuts, or the plain twin.
        in_channels: 3 for colour, 1 for grey images.
        num_classes: length of the output.
        widths: channels of the three stages.
        shortcut: the shortcut of the two blocks that change shape; any of
            :class:`~torchskip.nn.Skip`'s names. The paper's own choice is option A, ``"pad"``,
            with which both twins have the same number of parameters.

    Raises:
        ArgumentError: when ``depth`` is not ``6 n + 2``, or a width or count is below 1.

    >>> residual, plain = CifarNet(20), CifarNet(20, skip=False)
    >>> sum(p.numel() for p in residual.parameters()), sum(p.numel() for p in plain.parameters())
    (269722, 269722)
    >>> residual(torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 10])

    """

    def __init__(
        self,
        depth: int,
        skip: bool = True,
        in_channels: int = 3,
        num_classes: int = 10,
        widths: Sequence[int] = (16, 32, 64),
        shortcut: str = "pad",
    ) -> None:
        super().__init__()
        _check(depth, in_channels, num_classes, widths)
        seed = int(torch.randint(2**62, ()).item())
        with torch.random.fork_rng(devices=[]):  # both twins draw one number, the seed
            self._build(depth, skip, in_channels, num_classes, widths, shortcut)
        _initialise(self, seed)

    def _build(
        self,
        depth: int,
        skip: bool,
        in_channels: int,
        num_classes: int,
        widths: Sequence[int],
        shortcut: str,
    ) -> None:
        first = widths[0]
        self.stem = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(in_channels, first, 3, padding=1, bias=False),
                bn=nn.BatchNorm2d(first),
                relu=nn.ReLU(inplace=True),
            )
        )
        self.stages = nn.Sequential()
        before = first
        for stage, width in enumerate(widths):
            blocks = nn.Sequential()
            for index in range((depth - 2) // 6):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(_block(before, width, stride, skip, shortcut))
                before = width
            self.stages.append(blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(before, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of a batch of images."""
        x = self.stages(self.stem(x))
        logits: Tensor = self.classifier(self.pool(x).flatten(1))
        return logits


def _block(before: int, width: int, stride: int, skip: bool, shortcut: str) -> nn.Module:
    branch = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(before, width, 3, stride, padding=1, bias=False),
            bn1=nn.BatchNorm2d(width),
            relu=nn.ReLU(inplace=True),
            conv2=nn.Conv2d(width, width, 3, padding=1, bias=False),
            bn2=nn.BatchNorm2d(width),
        )
    )
    unit = Skip(branch, shortcut=shortcut) if skip else nn.Sequential(OrderedDict(branch=branch))
    return nn.Sequential(OrderedDict(unit=unit, relu=nn.ReLU(inplace=True)))


def _initialise(model: nn.Module, seed: int) -> None:
    """He et al. 2015 (arXiv 1502.01852), eq. 10.

    The weights that the twins share are drawn first, so that shortcuts do not move them.
    """
    generator = torch.Generator().manual_seed(seed)
    shared: list[nn.Conv2d | nn.Linear] = []
    own: list[nn.Conv2d | nn.Linear] = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            (own if ".shortcut" in name else shared).append(module)
    for module in shared + own:
        linear = module in own or isinstance(module, nn.Linear)
        gain: Literal["linear", "relu"] = "linear" if linear else "relu"
        if not module.weight.is_meta:
            drawn = torch.empty(module.weight.shape)
            nn.init.kaiming_normal_(drawn, mode="fan_in", nonlinearity=gain, generator=generator)
            with torch.no_grad():
                module.weight.copy_(drawn)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _check(depth: int, in_channels: int, num_classes: int, widths: Sequence[int]) -> None:
    if depth < 8 or (depth - 2) % 6:
        near = max(8, 6 * round((depth - 2) / 6) + 2)
        raise ArgumentError(
            f"depth is {depth}, but these networks have 6 n + 2 layers: 8, 14, 20, 26, 32, ...\n"
            f"  mend: the nearest is {near}"
        )
    if len(widths) != 3 or min(*widths, in_channels, num_classes) < 1:
        raise ArgumentError(
            f"widths={tuple(widths)}, in_channels={in_channels}, num_classes={num_classes}: "
            f"three widths and all counts must be 1 or more\n  mend: widths=(16, 32, 64)"
        )


def resnet(depth: int, **options: Any) -> CifarNet:
    """Residual network of ``depth`` layers; options as for :class:`CifarNet`.

    >>> resnet(8, in_channels=1)(torch.rand(1, 1, 28, 28)).shape
    torch.Size([1, 10])
    """
    return CifarNet(depth, skip=True, **options)


def plainnet(depth: int, **options: Any) -> CifarNet:
    """Plain network of ``depth`` layers, the twin of :func:`resnet`.

    >>> plainnet(8)(torch.rand(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """
    return CifarNet(depth, skip=False, **options)


resnet20 = partial(resnet, 20)
resnet32 = partial(resnet, 32)
resnet44 = partial(resnet, 44)
resnet56 = partial(resnet, 56)
resnet110 = partial(resnet, 110)
