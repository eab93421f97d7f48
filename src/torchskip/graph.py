"""The frozen values that travel from tracing to rendering.

A `Graph` is what one forward pass did: its nodes are operations, its edges are values
in static single assignment (an in-place operation makes a new value). Only values that
depend on the model's input are recorded, so parameters and position embeddings are facts
about a node and not values of their own. A `SkipPath` is a skip connection found in a graph.
Nothing here imports torch: shapes are tuples, dtypes are strings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Arm",
    "Constant",
    "Failure",
    "Graph",
    "Kind",
    "Module",
    "Node",
    "Parameter",
    "SkipPath",
    "Source",
    "Value",
]

Kind = Literal[
    "identity",  # the shortcut is the split value itself
    "projection",  # the shortcut holds a layer (1x1 convolution, pooling, padding ...)
    "concat",  # the arms meet in a concatenation (VoVNet, GhostNet)
    "dense",  # one value feeds several concatenations (DenseNet)
    "long",  # the branch goes down and up again between split and join (encoder-decoder)
    "gate",  # the branch scales the shortcut (squeeze-and-excitation, attention gates)
    "split-concat",  # channels are split, one part bypasses the layers (ShuffleNet v2, CSP)
    "pool-concat",  # the shortcut of a concatenation is a pooling (ShuffleNet v1's strided unit)
]


@dataclass(frozen=True, slots=True)
class Source:
    """A place in the user's code, outside torch.

    `line` counts from 1; `text` is the source of the whole expression's lines, stripped.
    `end_line`, `column` and `end_column` bound the expression (columns count characters from
    1, the end is exclusive; all 0 where Python does not tell).
    """

    file: str
    line: int
    function: str
    text: str = ""
    end_line: int = 0
    column: int = 0
    end_column: int = 0


@dataclass(frozen=True, slots=True)
class Value:
    """One version of one tensor that depends on the model's input.

    `producer` is the index of the node that made it, None for a model input. `base` is the
    value whose memory this one views; `previous` is the version that an in-place operation
    replaced. `memory` is equal for values that share storage. `requires_grad` says whether
    autograd carries a gradient back from this value: None where that was never asked for
    (nothing read it) or where a custom autograd function hid it.
    """

    index: int
    shape: tuple[int, ...]
    dtype: str
    producer: int | None
    memory: int
    base: int | None = None
    previous: int | None = None
    name: str = ""  # of a model input: the argument of forward, such as ``x`` or ``batch.image``
    requires_grad: bool | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    """A tensor argument that does not depend on the input: parameter, buffer or other.

    `argument` is its place in the call, such as ``weight`` or ``tensors[1]``. `names` are all
    the parameters and buffers that it derives from (a standardised weight derives from its
    raw weight); `name` is that one when there is exactly one, also through views and casts.
    """

    argument: str
    shape: tuple[int, ...]
    dtype: str
    name: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of the forward pass.

    `op` is the overload's name (``aten.add.Tensor``) or, for a module treated as opaque,
    ``module.LSTM``. `inputs` and `outputs` are value indices; `places` says for each input
    where it stands in the call (``self``, ``other``, ``tensors[0]``). `arguments` are the
    arguments that are no tensors by schema name, defaults included. `module` is the dotted
    path of the innermost module, `call` the how-manieth call of it (from 0). `grad` says
    whether autograd was recording.

    ``torchskip.alias`` is the one operation that no code wrote: a tensor is read after its
    memory was written through another view. Its inputs are the tensor's former value, unless
    that was overwritten whole, and the values written since.
    """

    index: int
    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    module: str
    module_type: str
    call: int = 0
    arguments: tuple[tuple[str, object], ...] = ()
    constants: tuple[Constant, ...] = ()
    source: Source | None = None
    inplace: bool = False
    grad: bool = True
    places: tuple[str, ...] = ()

    def argument(self, name: str, default: object = None) -> object:
        """Return the argument of that schema name, or `default`."""
        for key, value in self.arguments:
            if key == name:
                return value
        return default


@dataclass(frozen=True, slots=True)
class Module:
    """One module of the model: `calls` is how often the forward pass entered it.

    `source` is its forward's first line when it is not torch's own. `attributes` are its
    plain settings (numbers, strings, booleans and tuples of them): ``p``, ``inplace`` ...
    """

    path: str
    type: str
    calls: int
    leaf: bool
    source: Source | None = None
    training: bool = False
    attributes: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter or buffer, and the nodes that read it."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    buffer: bool
    readers: tuple[int, ...]
    requires_grad: bool = True


@dataclass(frozen=True, slots=True)
class Failure:
    """Where and why the forward pass stopped: the graph holds what ran before.

    When it stopped inside an operation, `node` is that operation (with no outputs), the last
    of the graph's nodes. `device` is where it ran: meta, fake or real.
    """

    error: str
    message: str
    module: str
    source: Source | None
    node: int | None = None
    device: str = "meta"


@dataclass(frozen=True, slots=True)
class Graph:
    """One forward pass of one model.

    `output_names` says where each output stands in what forward returned (``out``, ``[0]``).
    `attempts` are the failures on cheaper devices before this pass: why it is not ``meta``.
    `grad` is False when the pass ran only with autograd off.
    """

    model: str
    nodes: tuple[Node, ...]
    values: tuple[Value, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    modules: tuple[Module, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    failure: Failure | None = None
    training: bool = False
    device: Literal["meta", "fake", "real"] = "meta"
    output_names: tuple[str, ...] = ()
    attempts: tuple[Failure, ...] = ()
    grad: bool = True


@dataclass(frozen=True, slots=True)
class Arm:
    """One way from split to join: the values on it, from the split to the join's argument.

    `nodes` are the operations of its longest path, `layers` how many of them are layers (norms
    are none) or poolings, `detached` that no gradient comes back through it.
    """

    role: Literal["branch", "shortcut"]
    values: tuple[int, ...]
    nodes: tuple[int, ...]
    layers: int
    detached: bool = False


@dataclass(frozen=True, slots=True)
class SkipPath:
    """A skip connection of a graph: two arms part at a value and meet in an operation.

    `alignment` is the distance of the arms' centres in the split's pixels per spatial axis, None
    where it cannot be derived. `drift` is the farthest that the arms get apart where their
    scales differ, so that the distance changes from pixel to pixel. `live` says that the model's
    output depends on the join.
    """

    kind: Kind
    merge: str
    split: int  # value
    join: int  # node
    arms: tuple[Arm, ...]
    alignment: tuple[float, ...] | None = None
    live: bool = True
    notes: tuple[str, ...] = field(default=())
    drift: float | None = None
