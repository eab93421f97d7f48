"""An example input for a model whose user gave none, and the reason it was chosen."""

from torchskip.example.given import Example, parse_shapes
from torchskip.example.infer import infer_example
from torchskip.example.tries import UnknownInput

__all__ = ["Example", "UnknownInput", "infer_example", "parse_shapes"]
