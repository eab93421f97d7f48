"""The tutorial's network, *Skip connection in Pytorch with CNN* (A. Lynch, October 2024), working.

``docs/tutorial.md`` states what the tutorial claims, what its code does and what changes here.
"""

from collections import OrderedDict
from contextlib import nullcontext

import torch
from torch import nn

from torchskip.nn.skip import Skip

__all__ = ["SkipConnection"]


class SkipConnection(Skip):
    """The tutorial's two convolutions with the skip connection it meant.

    ``y = x + restore(relu2(conv_layer2(relu(conv_layer1(x)))))``, He et al. 2015, eq. 1, where
    ``restore`` brings the branch's 11 x 11 pixels back onto the input's grid
    (:class:`~torchskip.nn.Skip` with ``keep="input"``).

    Shapes:
        ``(N, 3, H, W) -> (N, 3, H, W)``; the tutorial's ``(1, 3, 32, 32) -> (1, 3, 32, 32)``.

    Args:
        strict: wire it as published, ``input + branch``, which cannot be added: 32 against 11.
        seed: seed of the initial weights. They are drawn apart, and the global random state is
            left alone. ``None`` draws from the global state: with ``torch.manual_seed(172)``
            before it, a script then continues with the tutorial's own random numbers.

    Raises:
        MergeShapeError: in ``forward``, with ``strict=True``.

    Layers, names and initial weights are the published ones, and so are the keys of
    ``state_dict()``: published weights load as they are.

    >>> model = SkipConnection()
    >>> model(torch.rand(1, 3, 32, 32)).shape
    torch.Size([1, 3, 32, 32])
    >>> sorted(model.state_dict())
    ['conv_layer1.bias', 'conv_layer1.weight', 'conv_layer2.bias', 'conv_layer2.weight']
    >>> SkipConnection(strict=True)(torch.rand(1, 3, 32, 32))
    Traceback (most recent call last):
    torchskip.errors.MergeShapeError: cannot add branch and shortcut in the outermost module \
(SkipConnection)
      branch    (1, 3, 11, 11)
      shortcut  (1, 3, 32, 32)    axes 2, 3 differ
      mend: shortcut="auto" derives a pooled shortcut (stride 4), or keep="input" brings the \
branch back to the input's shape

    """

    conv_layer1: nn.Conv2d
    relu: nn.ReLU
    conv_layer2: nn.Conv2d
    relu2: nn.ReLU

    def __init__(self, strict: bool = False, seed: int | None = 172) -> None:
        apart = torch.random.fork_rng(devices=[]) if seed is not None else nullcontext()
        with apart:
            if seed is not None:
                torch.default_generator.manual_seed(seed)
            layers: OrderedDict[str, nn.Module] = OrderedDict(
                conv_layer1=nn.Conv2d(3, 6, 2, stride=2, padding=2),
                relu=nn.ReLU(inplace=True),
                conv_layer2=nn.Conv2d(6, 3, 2, stride=2, padding=2),
                relu2=nn.ReLU(inplace=True),
            )
        super().__init__(
            nn.Sequential(layers),
            shortcut="identity" if strict else "auto",
            keep="branch" if strict else "input",
        )
        # The published names are attributes of the model itself, so the layers are registered
        # here and the sequence that runs them is not: every parameter has one name.
        branch = self._modules.pop("branch")
        object.__setattr__(self, "branch", branch)
        for name, layer in layers.items():
            self.add_module(name, layer)
