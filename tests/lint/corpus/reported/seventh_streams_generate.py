"""The seventh set. Streams. Generators, autoencoders and flows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case


class ADAIN(nn.Module):
    def __init__(self, width, feature):
        super().__init__()
        self.param_free_norm = nn.InstanceNorm2d(width, affine=False)
        self.mlp_shared = nn.Sequential(nn.Linear(feature, 16), nn.ReLU())
        self.mlp_gamma = nn.Linear(16, width)
        self.mlp_beta = nn.Linear(16, width)

    def forward(self, x, feature):
        actv = self.mlp_shared(feature.view(feature.size(0), -1))
        gamma = self.mlp_gamma(actv)[:, :, None, None]
        beta = self.mlp_beta(actv)[:, :, None, None]
        return self.param_free_norm(x) * (1 + gamma) + beta


class FineADAINResBlock2d(nn.Module):
    """PIRender: the second convolution reads x, not the first one's result."""

    def __init__(self, width, feature):
        super().__init__()
        self.conv1 = nn.utils.parametrizations.spectral_norm(nn.Conv2d(width, width, 3, padding=1))
        self.conv2 = nn.utils.parametrizations.spectral_norm(nn.Conv2d(width, width, 3, padding=1))
        self.norm1 = ADAIN(width, feature)
        self.norm2 = ADAIN(width, feature)
        self.actvn = nn.LeakyReLU(0.1)

    def forward(self, x, z):
        dx = self.actvn(self.norm1(self.conv1(x), z))
        dx = self.norm2(self.conv2(x), z)
        return dx + x


class FineADAINResBlock2dMended(FineADAINResBlock2d):
    def forward(self, x, z):
        dx = self.actvn(self.norm1(self.conv1(x), z))
        dx = self.norm2(self.conv2(dx), z)
        return dx + x


class EditingNet(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 7, padding=3)
        for i in range(2):
            setattr(self, f"res{i}", block(8, 6))
        self.final = nn.Sequential(nn.LeakyReLU(0.1), nn.Conv2d(8, 3, 7, padding=3), nn.Tanh())

    def forward(self, x, z):
        x = self.first(x)
        for i in range(2):
            x = getattr(self, f"res{i}")(x, z)
        return self.final(x)


def down_block(a, b):
    return nn.Sequential(nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2))


def up_block(a, b):
    return nn.Sequential(
        nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()
    )


class PixGenerator(nn.Module):
    """Ports of TensorFlow's pix2pix tutorial: `torch.cat([x, skip])` has dim 0."""

    widths = (8, 12, 16)
    again = 1

    def __init__(self):
        super().__init__()
        a, b, c = self.widths
        self.down_stack = nn.ModuleList([down_block(3, a), down_block(a, b), down_block(b, c)])
        self.up_stack = nn.ModuleList([up_block(c, b), up_block(self.again * b, a)])
        self.last = nn.Sequential(nn.ConvTranspose2d(self.again * a, 3, 4, 2, 1), nn.Tanh())

    def join(self, x, skip):
        return torch.cat([x, skip])

    def forward(self, x):
        skips = []
        for down in self.down_stack:
            x = down(x)
            skips.append(x)
        for up, skip in zip(self.up_stack, reversed(skips[:-1]), strict=True):
            x = up(x)
            x = self.join(x, skip)
        return self.last(x)


class PixGeneratorMended(PixGenerator):
    again = 2

    def join(self, x, skip):
        return torch.cat([x, skip], dim=1)


class VideoResBlock(nn.Module):
    """pytorch-vqvae's ResBlock: the branch begins with ReLU(True)."""

    inplace = True

    def __init__(self, dim):
        super().__init__()
        self.block = nn.Sequential(
            nn.ReLU(self.inplace),
            nn.Conv3d(dim, dim, 3, 1, 1),
            nn.BatchNorm3d(dim),
            nn.ReLU(True),
            nn.Conv3d(dim, dim, 1),
            nn.BatchNorm3d(dim),
        )

    def forward(self, x):
        return x + self.block(x)


class VideoResBlockMended(VideoResBlock):
    inplace = False


class VideoVQVAE(nn.Module):
    def __init__(self, block, dim=8, codes=6):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv3d(1, dim, 4, 2, 1),
            nn.BatchNorm3d(dim),
            nn.ReLU(True),
            nn.Conv3d(dim, dim, 3, 1, 1),
            block(dim),
            block(dim),
        )
        self.codebook = nn.Parameter(torch.randn(codes, dim))
        self.decoder = nn.Sequential(
            block(dim), block(dim), nn.ReLU(True), nn.ConvTranspose3d(dim, 1, 4, 2, 1), nn.Tanh()
        )

    def quantise(self, z):
        flat = z.movedim(1, -1)
        distance = (flat.unsqueeze(-2) - self.codebook).pow(2).sum(-1)
        chosen = F.one_hot(distance.argmin(-1), len(self.codebook)).to(z.dtype)
        return (chosen @ self.codebook).movedim(-1, 1)

    def forward(self, x):
        z = self.encoder(x)
        q = self.quantise(z)
        return (self.decoder(z + (q - z).detach()), z, q)


class Coupling(nn.Module):
    """nflows' spline coupling, piecewise linear, for a conditioner that ends with a ReLU."""

    def __init__(self, features=4, bins=4, hidden=8):
        super().__init__()
        self.features, self.bins, self.hidden_features = (features, bins, hidden)
        self.transform_net = nn.Sequential(
            nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, features * bins), nn.ReLU()
        )

    def spline(self, x, heights):
        heights = heights.softmax(-1)
        edges = F.pad(heights.cumsum(-1), (1, 0))
        place = x.sigmoid() * self.bins
        index = place.detach().floor().clamp(0, self.bins - 1)
        chosen = F.one_hot(index.long(), self.bins).to(x.dtype)
        start = (edges[..., :-1] * chosen).sum(-1)
        return start + (place - index) * (heights * chosen).sum(-1)

    def parameters_of(self, identity):
        return self.transform_net(identity).view(-1, self.features, self.bins)

    def forward(self, x):
        identity, moved = x.chunk(2, 1)
        heights = self.parameters_of(identity)
        heights /= self.hidden_features**0.5
        return torch.cat([self.spline(moved, heights), identity], 1)


class CouplingMended(Coupling):
    def forward(self, x):
        identity, moved = x.chunk(2, 1)
        heights = self.parameters_of(identity)
        heights = heights / self.hidden_features**0.5
        return torch.cat([self.spline(moved, heights), identity], 1)


CASES = (
    Case(
        "second convolution reads the block's input",
        "RenYurui/PIRender#14",
        "TS107",
        lambda: EditingNet(FineADAINResBlock2d),
        lambda: EditingNet(FineADAINResBlock2dMended),
        ((2, 3, 8, 8), (2, 6)),
    ),
    Case(
        "generator's skips concatenated along the batch",
        "ports of tensorflow/docs pix2pix.ipynb, found by code search: torch.cat([x, skip])",
        "TS109",
        PixGenerator,
        PixGeneratorMended,
        ((2, 3, 16, 16),),
    ),
    Case(
        "rectifier in place before a 3-D residual",
        "ritheshkumar95/pytorch-vqvae, modules.py and video_vq_vae.py",
        "TS104",
        lambda: VideoVQVAE(VideoResBlock),
        lambda: VideoVQVAE(VideoResBlockMended),
        ((2, 1, 4, 8, 8),),
    ),
    Case(
        "spline parameters divided in place",
        "bayesiains/nflows#89",
        "TS112",
        lambda: nn.Sequential(nn.Linear(6, 8), Coupling(), Coupling()),
        lambda: nn.Sequential(nn.Linear(6, 8), CouplingMended(), CouplingMended()),
        ((3, 6),),
    ),
)
