"""What each module of a model promises, and what it does.

A block promises by what was built for it (parts, weights), by what is said of it (its class, its
flags, the names in its forward) and by its like: other blocks of its kind. What it does is what the
passes recorded. Whether the two differ is for the signs in this package, and what to say of it for
the rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from torchskip.graph import Module, Parameter, SkipPath
from torchskip.lint.facts import Body
from torchskip.lint.passes import Pass
from torchskip.lint.regions import Region, below, bridged, keeps_shape, region_of, spanned
from torchskip.lint.vocabulary import promises, says_residual

__all__ = ["Block", "Blocks", "blocks"]

Blocks = Mapping[str, "Block"]


@dataclass(frozen=True, eq=False, repr=False)
class Block:
    """One module: what was built for it and said of it, and what it did.

    `parameters` are those of the module and of all below it, buffers too; `unread` are names of
    those that no pass reads. `called` says that a pass called the module, `runs` that one called or
    read any part of it. `region` holds its operations in evaluation, where it was called once, with
    one value in and one out. `body` is what its forward's source says, where it is the user's.
    """

    module: Module
    run: Pass
    parts: tuple[Block, ...]
    parameters: tuple[Parameter, ...]
    unread: frozenset[str]
    called: bool
    runs: bool
    region: Region | None
    body: Body | None

    # ---- what it promises

    @property
    def path(self) -> str:
        """The module's path; empty for the model."""
        return self.module.path

    @property
    def above(self) -> str:
        """The path of the module that it is a part of."""
        return self.path.rpartition(".")[0]

    @property
    def word(self) -> str:
        """The name under which it is registered."""
        return self.path.rpartition(".")[2]

    @property
    def type(self) -> str:
        """The name of its class."""
        return self.module.type

    @property
    def wants(self) -> tuple[str, ...]:
        """Flags for a shortcut that are set."""
        return tuple(k for k, v in self.module.attributes if v is True and promises(k))

    @property
    def refuses(self) -> tuple[str, ...]:
        """Flags for a shortcut that are off: ``has_skip=False``."""
        return tuple(k for k, v in self.module.attributes if v is False and promises(k))

    @property
    def says_residual(self) -> bool:
        """Whether its class is called a residual block."""
        return says_residual(self.type)

    @property
    def holds(self) -> bool:
        """Whether it has parameters, of its own or below."""
        return any(not p.buffer for p in self.parameters)

    @property
    def own(self) -> tuple[Parameter, ...]:
        """Parameters that it keeps itself."""
        return tuple(
            p for p in self.parameters if not p.buffer and p.name.rpartition(".")[0] == self.path
        )

    @cached_property
    def weights(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of its parameters, without biases."""
        return tuple(p.shape for p in self.parameters if not p.buffer and len(p.shape) > 1)

    @cached_property
    def sizes(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Names and shapes of its parameters and buffers: equal for equal blocks."""
        return tuple((p.name.removeprefix(self.path), p.shape) for p in self.parameters)

    def inside(self) -> Iterator[Block]:
        """Every block below it."""
        for part in self.parts:
            yield part
            yield from part.inside()

    # ---- what it does

    @property
    def idle(self) -> tuple[Block, ...]:
        """Parts with parameters that never run, although the block is called."""
        return tuple(p for p in self.parts if p.holds and not p.runs) if self.called else ()

    @property
    def ends(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of what it reads and of its result; empty without a region."""
        values = (self.region.entry, self.region.exit) if self.region else ()
        return tuple(self.run.flow.value(v).shape for v in values)

    @property
    def layers(self) -> int:
        """How many operations of it hold weights."""
        return self.region.layers if self.region else 0

    @cached_property
    def skips(self) -> tuple[SkipPath, ...]:
        """Skips that reach an output and whose join lies in it."""
        nodes = self.run.graph.nodes
        return tuple(s for s in self.run.skips if s.live and below(nodes[s.join].module, self.path))

    @property
    def joins(self) -> tuple[SkipPath, ...]:
        """Skips that it joins in its own forward."""
        nodes = self.run.graph.nodes
        return tuple(s for s in self.skips if nodes[s.join].module == self.path)

    @cached_property
    def keeps_shape(self) -> bool:
        """Whether its result has the shape of what it reads."""
        return self.region is not None and keeps_shape(self.region, self.run)

    @cached_property
    def bridged(self) -> bool:
        """Whether any skip lies in it or leads around it, from near or far."""
        return self.region is not None and bridged(self.region, self.run)

    @cached_property
    def spanned(self) -> bool:
        """Whether its input is added to its result."""
        return self.region is not None and spanned(self.region, self.run)

    @property
    def bare(self) -> bool:
        """Whether its layers keep the shape, and nothing goes around them."""
        return self.layers > 0 and self.keeps_shape and not self.bridged

    @cached_property
    def by_hand(self) -> Region | None:
        """Its operations where others call its layers one by one, without its own forward."""
        if not self.path or self.called or self.module.leaf or self.body is None or not self.runs:
            return None
        return region_of(self.run, self.path)


def blocks(passes: tuple[Pass, ...], bodies: tuple[Body, ...]) -> Blocks:
    """Every module by path, in order, as the passes found them; the first is in evaluation."""
    run = passes[0]
    called = {m.path for each in passes for m in each.graph.modules if m.calls}
    read = {p.name for each in passes for p in each.graph.parameters if p.readers}
    running = {above for path in called | read for above in _above(path)}
    parameters: dict[str, list[Parameter]] = {}
    for parameter in run.graph.parameters:
        for path in _above(parameter.name.rpartition(".")[0]):
            parameters.setdefault(path, []).append(parameter)
    written = {body.module: body for body in bodies}
    found: dict[str, Block] = {}
    parts: dict[str, list[Block]] = {}
    for module in reversed(run.graph.modules):
        own = tuple(parameters.get(module.path, ()))
        block = Block(
            module,
            run,
            tuple(reversed(parts.get(module.path, []))),
            own,
            frozenset(p.name for p in own) - read,
            module.path in called,
            module.path in running,
            run.regions.get(module.path),
            written.get(module.path),
        )
        found[module.path] = block
        if module.path:
            parts.setdefault(block.above, []).append(block)
    return dict(reversed(found.items()))


def _above(path: str) -> Iterator[str]:
    """The path and every path above it, the model's too."""
    yield path
    while path:
        path = path.rpartition(".")[0]
        yield path
