"""Images to train on: an embedded subset of Fashion-MNIST, or a directory of image files."""

from torchskip.data.images import Images
from torchskip.data.source import load

__all__ = ["Images", "load"]
