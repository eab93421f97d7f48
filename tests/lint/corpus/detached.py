"""Arms that carry no gradient back."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, conv, maker


class HookedUNet(nn.Module):
    """Encoder features stored by forward hooks, which detach what they store."""

    def __init__(self, detach: bool) -> None:
        super().__init__()
        self.enc1, self.enc2 = conv(4, 4), conv(4, 8)
        self.mid = conv(8, 8)
        self.dec2, self.dec1 = conv(16, 8), conv(12, 4)
        self._stored: dict[str, Tensor] = {}
        for name in ("enc1", "enc2"):
            self.get_submodule(name).register_forward_hook(self._store(name, detach))

    def _store(self, name: str, detach: bool):  # type: ignore[no-untyped-def]
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            self._stored[name] = output.detach() if detach else output

        return hook

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.enc1(x)), 2)
        x = F.max_pool2d(F.relu(self.enc2(x)), 2)
        x = F.relu(self.mid(x))
        x = torch.cat([F.interpolate(x, scale_factor=2), F.relu(self._stored["enc2"])], 1)
        x = F.relu(self.dec2(x))
        x = torch.cat([F.interpolate(x, scale_factor=2), F.relu(self._stored["enc1"])], 1)
        return self.dec1(x)


class Lidar(nn.Module):
    """Range-image backbone whose skips are detached at each level, then added."""

    def __init__(self, detach: bool) -> None:
        super().__init__()
        self.conv1a, self.conv1b = conv(4, 4), conv(4, 4, 1)
        self.fire = nn.Sequential(conv(4, 8), nn.ReLU(), conv(8, 4))
        self.head = conv(4, 2, 1)
        self.detach = detach

    def forward(self, x: Tensor) -> Tensor:
        skip = self.conv1b(x)
        skip = skip.detach() if self.detach else skip
        x = F.relu(self.conv1a(x))
        x = F.interpolate(self.fire(F.max_pool2d(x, 2)), scale_factor=2)
        return self.head(x + skip)


class BiFPN(nn.Module):
    """Weighted fusion with detached inputs."""

    def __init__(self, detach: bool) -> None:
        super().__init__()
        self.down, self.fuse = conv(4, 4, stride=2), conv(4, 4)
        self.detach = detach

    def forward(self, x: Tensor) -> Tensor:
        low = F.relu(self.down(x))
        lateral = x.detach() if self.detach else x
        return self.fuse(lateral + F.interpolate(low, scale_factor=2))


class DataShortcut(nn.Module):
    """`.data` in place of the tensor."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(4, 4), nn.BatchNorm2d(4), nn.ReLU(), conv(4, 4))
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + (x if self.mended else x.data)


class NoGradBranch(nn.Module):
    """The whole branch under `no_grad`: its weights are never trained."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(4, 4), nn.ReLU(), conv(4, 4))
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        with torch.set_grad_enabled(self.mended and torch.is_grad_enabled()):
            branch = self.body(x)
        return x + branch


class NumpyBranch(nn.Module):
    """A branch that passes through numpy."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body, self.mended = conv(4, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x)
        if not self.mended:
            h = torch.from_numpy(h.detach().cpu().numpy().clip(0)).to(x)
        return x + F.relu(h)


CASES = (
    Case("deoldify", "jantic/DeOldify#116", "TS105",
         lambda: HookedUNet(True), lambda: HookedUNet(False)),
    Case("lidar", "PRBonn/lidar-bonnetal#99", "TS105", lambda: Lidar(True), lambda: Lidar(False)),
    Case("bifpn", "toandaominh1997/EfficientDet.Pytorch PR 26", "TS105",
         maker(BiFPN, True, times=1), maker(BiFPN, False, times=1)),
    Case("data_shortcut", "`.data` on the shortcut", "TS105",
         maker(DataShortcut, False), maker(DataShortcut, True)),
    Case("no_grad_branch", "a branch under no_grad", "TS105",
         maker(NoGradBranch, False), maker(NoGradBranch, True)),
    Case("numpy_branch", "a branch through numpy", "TS105",
         maker(NumpyBranch, False), maker(NumpyBranch, True)),
)  # fmt: skip
