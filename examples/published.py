"""The tutorial's wiring, as it was published: `torchskip check examples/published.py`."""

import torch
from torch import nn


class SkipConnection(nn.Module):
    """Two convolutions and an add that cannot work: 32x32 against 11x11."""

    def __init__(self):
        super().__init__()
        self.conv_layer1 = nn.Conv2d(3, 6, 2, stride=2, padding=2)
        self.relu = nn.ReLU(inplace=True)
        self.conv_layer2 = nn.Conv2d(6, 3, 2, stride=2, padding=2)
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, input):
        """Add the input to what the two convolutions made of it."""
        out1 = self.relu(self.conv_layer1(input))
        out2 = self.relu2(self.conv_layer2(out1))
        return input + out2


if __name__ == "__main__":
    print(SkipConnection()(torch.rand(1, 3, 32, 32)).shape)
