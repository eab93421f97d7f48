"""One forward pass as an executable graph: every operator with its literal arguments.

`torchskip.trace` says what a model does and keeps no values. To run a model again without its
Python, the constants and the order of the arguments are needed too, and the reference result
for the proof; so this pass is a real one. It runs on a copy of the example, and stops before
anything that could not be replayed: writes to the model's state, random numbers, values read
by the model's Python.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from torchskip.errors import FuseError
from torchskip.trace.restore import Snapshot, random_state
from torchskip.trace.tree import leaves, rebuild

__all__ = ["Capture", "Inputs", "Recorder", "capture"]

aten = torch.ops.aten
_RESTRIDES = {aten.as_strided.default, aten.as_strided_.default, aten._reshape_alias.default}
_READS = {"_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "allclose"}


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What a model is called with: positional arguments and keywords, tensors anywhere inside."""

    arguments: tuple[Any, ...]
    keywords: dict[str, Any]

    @classmethod
    def of(cls, example: Any) -> Inputs:
        """Read an example: a tensor, a tuple of positional arguments, a dictionary of keywords."""
        if isinstance(example, dict):
            return cls((), dict(example))
        return cls(tuple(example) if isinstance(example, (tuple, list)) else (example,), {})

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors, in order."""
        return tuple(t for _, t in leaves((self.arguments, self.keywords)))

    @property
    def batch(self) -> int:
        """The size that axis 0 of every tensor has, 0 when they differ."""
        sizes = {t.shape[0] if t.dim() else 0 for t in self.tensors}
        return sizes.pop() if len(sizes) == 1 else 0

    @property
    def manner(self) -> tuple[Any, ...]:
        """How the call is made: where its tensors stand, and everything that is no tensor."""
        tree = self.arguments, self.keywords
        swap: Callable[[Tensor], Any] = lambda _: "a tensor"  # noqa: E731 - typed as Any
        return tuple(name for name, _ in leaves(tree)), rebuild(tree, swap)

    def map(self, swap: Callable[[Tensor], Any]) -> Inputs:
        """Return the same call with other tensors."""
        return Inputs(*rebuild((self.arguments, self.keywords), swap))


@dataclass(frozen=True, slots=True, eq=False)
class Capture:
    """A forward pass: the graph, the constants it reads, and what came out.

    A node's `meta` holds ``path`` (of the innermost module), ``shape``, ``dtype``, ``stride``,
    and ``memory``, a number that values sharing a storage have in common.
    """

    graph: fx.Graph
    constants: dict[str, Tensor]
    results: tuple[Tensor, ...]
    structure: Any  # the result with empty tensors in place of `results`


def capture(model: nn.Module, inputs: Inputs, recorder: type[Recorder] | None = None) -> Capture:
    """Run ``model`` on a copy of `inputs` and return what it did.

    The model comes back as it was. Raises `FuseError` where a replay would not do the same.
    """
    state = Snapshot(model.modules())
    with random_state(), torch.no_grad():
        record = (recorder or Recorder)(model)
        given = inputs.map(lambda t: t.detach().clone())
        for tensor in given.tensors:
            record.begin(tensor)
        try:
            with record.following(), record:
                result = model(*given.arguments, **given.keywords)
            results = tuple(t for _, t in leaves(result))
            record.end(results)
        finally:
            state.restore()
        structure = rebuild(result, lambda _: torch.empty(0))
    return Capture(record.graph, record.constants, tuple(t.clone() for t in results), structure)


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down every operator that runs."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph = fx.Graph()
        self.constants: dict[str, Tensor] = {}
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._state = {
            t.untyped_storage()._cdata: name
            for name, t in (*model.named_parameters(), *model.named_buffers())
            if t.layout is torch.strided and not t.is_meta
        }
        self._nodes = WeakIdKeyDictionary()
        self._memories: dict[int, int] = {}
        self._references: list[StorageWeakRef] = []  # an address is not used twice meanwhile
        self._path = ""

    @contextmanager
    def following(self) -> Iterator[None]:
        """Note which module runs."""

        def enter(module: nn.Module, _: Any) -> None:
            self._path = self._paths.get(id(module), self._path)

        handle = register_module_forward_pre_hook(enter)
        try:
            yield
        finally:
            handle.remove()

    def begin(self, tensor: Tensor) -> None:
        """Make `tensor` an input of the graph."""
        self._describe(self.graph.placeholder(f"input_{len(self._nodes)}"), tensor)

    def end(self, results: tuple[Tensor, ...]) -> None:
        """Make `results` the outputs of the graph."""
        self.graph.output(tuple(self._node(t) for t in results))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        self._refuse(func, args, kwargs)
        arguments = fx.node.map_aggregate((args, kwargs), self._argument)
        source = args[0] if args else None
        before = _axes(source) if isinstance(source, Tensor) else None
        result = self.run(func, args, kwargs)
        if func in _RESTRIDES:
            # Adaptive pooling to one pixel ends so: it renames the strides of axes of size 1.
            if before != _axes(result) or self._nodes.get(source) is None:  # type: ignore[no-untyped-call]
                raise FuseError(
                    f"cannot fuse {self._where}: as_strided reads memory in a layout that "
                    "fusing changes\n  mend: use unfold, slicing or reshape"
                )
            self._nodes[result] = self._nodes[source]
            return result
        node = self.graph.call_function(func, *arguments)
        if isinstance(result, Tensor):
            self._describe(node, result)
        elif isinstance(result, (tuple, list)):
            node.meta["path"] = self._path
            for index, item in enumerate(result):
                if isinstance(item, Tensor):
                    part = self.graph.call_function(operator.getitem, (node, index))
                    self._describe(part, item)
        else:
            node.meta["path"] = self._path
            self._written(func, args, kwargs, node)
        return result

    def run(self, operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operator."""
        return operator(*args, **kwargs)

    def _argument(self, value: Any) -> Any:
        return self._node(value) if isinstance(value, Tensor) else value

    def _node(self, tensor: Tensor) -> fx.Node:
        node = self._nodes.get(tensor)  # type: ignore[no-untyped-call]
        if node is None:
            name = f"constant_{len(self.constants)}"
            node = self.graph.create_node("get_attr", name, name=name)
            owned = self._owner(tensor) is not None
            self.constants[name] = tensor.detach() if owned else tensor.detach().clone()
            self._describe(node, tensor)
        return node  # type: ignore[no-any-return]

    def _describe(self, node: fx.Node, tensor: Tensor) -> None:
        if tensor.layout is not torch.strided or tensor.is_quantized:
            raise FuseError(f"cannot fuse {self._where}: it makes a {tensor.layout} tensor")
        self._nodes[tensor] = node
        node.meta.update(
            path=self._path,
            shape=tuple(tensor.shape),
            stride=tensor.stride(),
            dtype=tensor.dtype,
            memory=self._memory(tensor),
        )

    def _memory(self, tensor: Tensor) -> int:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._memories:
            self._memories[storage._cdata] = len(self._memories)
            self._references.append(StorageWeakRef(storage))  # type: ignore[no-untyped-call]
        return self._memories[storage._cdata]

    def _owner(self, tensor: Tensor) -> str | None:
        if tensor.layout is not torch.strided or tensor.is_meta:
            return None
        return self._state.get(tensor.untyped_storage()._cdata)

    @property
    def _where(self) -> str:
        return repr(self._path) if self._path else "the model"

    def _refuse(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Stop before an operator that a replay could not repeat."""
        name = func._schema.name.rpartition("::")[2]
        if name in _READS and any(t in self._nodes for _, t in leaves((args, kwargs))):
            raise FuseError(
                f"cannot fuse {self._where}: its Python reads a value ({name}) that may decide "
                "what runs\n  mend: keep values in tensors (torch.where), or fuse the parts "
                "before and after"
            )
        training = _argument_named(func, args, kwargs, "training", "train", "use_input_stats")
        if "dropout" in name and training is not False and training is not None:
            raise FuseError(_by_mode(self._where, "drops values at random"))
        if (
            "batch_norm" in name
            and training
            and _argument_named(func, args, kwargs, "running_mean") is not None
        ):
            raise FuseError(_by_mode(self._where, "normalises by the batch and updates its mean"))
        # Attention is tagged as random for the dropout that it may do.
        drops = _argument_named(func, args, kwargs, "dropout_p") != 0
        if torch.Tag.nondeterministic_seeded in func.tags and drops:
            raise FuseError(_by_mode(self._where, f"draws random numbers ({name})"))
        for position, argument in enumerate(func._schema.arguments):
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            value = args[position] if position < len(args) else kwargs.get(argument.name)
            for _, tensor in leaves(value):
                owner = self._owner(tensor)
                if owner is not None:
                    raise FuseError(_by_mode(self._where, f"writes to its own {owner!r} ({name})"))

    def _written(self, func: Any, args: Any, kwargs: Any, node: fx.Node) -> None:
        """An operator that writes without returning: what it wrote is read through it no more."""
        for argument in func._schema.arguments:
            if argument.alias_info is not None and argument.alias_info.is_write:
                raise FuseError(f"cannot fuse {self._where}: {func} writes without a result")


def _axes(tensor: Tensor) -> tuple[Any, ...]:
    """Return offset, sizes, and the strides of axes longer than 1."""
    strides = (s for n, s in zip(tensor.shape, tensor.stride(), strict=True) if n != 1)
    return tensor.storage_offset(), tuple(tensor.shape), *strides


def _argument_named(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *names: str) -> Any:
    for position, argument in enumerate(func._schema.arguments):
        if argument.name in names:
            default = kwargs.get(argument.name, argument.default_value)
            return args[position] if position < len(args) else default
    return None


def _by_mode(where: str, what: str) -> str:
    return (
        f"cannot fuse {where}: it {what}, so two calls differ\n"
        "  mend: model.eval() before fuse; what does it in eval mode too cannot be fused"
    )
