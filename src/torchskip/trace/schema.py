"""What an operator's schema says: names, defaults, what it writes and what it views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch._ops import OpOverload

__all__ = ["METADATA_ONLY", "OVERWRITING", "Plan", "plain", "plan"]

# These take a tensor for its shape, type and device alone: no information flows.
METADATA_ONLY = {
    "zeros_like",
    "ones_like",
    "empty_like",
    "full_like",
    "rand_like",
    "randn_like",
    "randint_like",
    "new_zeros",
    "new_ones",
    "new_empty",
    "new_full",
    "new_empty_strided",
}
# These in-place operators replace their tensor whole, without reading it.
OVERWRITING = frozenset(
    [
        "copy_",
        "fill_",
        "zero_",
        "normal_",
        "uniform_",
        "bernoulli_",
        "random_",
        "exponential_",
        "geometric_",
        "cauchy_",
        "log_normal_",
        "set_",
    ]
)
_PLAIN = frozenset({type(None), bool, int, float, str})


@dataclass(frozen=True, slots=True)
class Plan:
    """One operator, parsed once."""

    op: str
    names: tuple[str, ...]
    tensors: tuple[tuple[int, str], ...]  # arguments that may be tensors or lists of them
    defaults: tuple[tuple[str, object], ...]
    reads: bool  # False: only the metadata of its tensors matters
    writes: tuple[str, ...]  # arguments that get a new version
    unread: tuple[str, ...]  # written arguments whose old version does not matter
    touched: tuple[str, ...]  # every argument with a mutation mark, statistics included
    views: tuple[str | None, ...]  # per output: the argument whose memory it shares
    results: tuple[str | None, ...]  # per output: the argument that it is
    view: bool  # makes no new memory
    fresh: bool  # torch's own, and its schema speaks of no memory that it shares or changes
    composite: bool  # autograd would have split it: split it too where autograd is off


def plan(func: OpOverload) -> Plan:
    """Parse the schema of `func`."""
    schema = func._schema
    name = schema.name.rpartition("::")[2]
    touched: list[str] = []
    writers: dict[str, str] = {}
    viewers: dict[str, str] = {}
    parted: str | None = None  # what a list of views was cut from: ``Tensor(a -> *)``
    for argument in schema.arguments:
        alias = argument.alias_info
        if alias is None:
            continue
        for mark in alias.before_set:
            (writers if alias.is_write else viewers)[mark] = argument.name
        if "*" in alias.after_set:
            parted = argument.name
        if alias.is_write:
            touched.append(argument.name)
    views: list[str | None] = []
    results: list[str | None] = []
    for result in schema.returns:
        alias = result.alias_info
        marks = alias.before_set if alias is not None else set()
        results.append(next((writers[m] for m in marks if m in writers), None))
        of_list = parted if alias is not None else None
        views.append(next((viewers[m] for m in marks if m in viewers), of_list))
    if name.endswith("native_batch_norm"):  # its schema keeps quiet about what it changes
        touched += ["running_mean", "running_var"]
    # An argument that is changed but not handed back beside other results is a statistic
    # (batch normalisation's running mean): it is a side effect and no version of a value.
    writes = tuple(t for t in touched if t in results or not schema.returns)
    kwarg_only = {a.name for a in schema.arguments if a.kwarg_only}
    unread = tuple(w for w in writes if w in kwarg_only or name in OVERWRITING)
    return Plan(
        op=str(func),
        names=tuple(a.name for a in schema.arguments),
        tensors=tuple(
            (i, a.name) for i, a in enumerate(schema.arguments) if "Tensor" in str(a.type)
        ),
        defaults=tuple(
            (a.name, plain(a.default_value) if a.has_default_value() else None)
            for a in schema.arguments
        ),
        reads=name not in METADATA_ONLY,
        writes=writes,
        unread=unread,
        touched=tuple(touched),
        views=tuple(views),
        results=tuple(results),
        view=any(views) and not writes,
        fresh=schema.name.startswith("aten::") and not (touched or viewers),
        composite=func._can_decompose(),
    )


def plain(value: Any) -> object:
    """Return `value` without torch in it: tuples for lists, text for dtypes and devices."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if (kind is list or kind is tuple) and _PLAIN.issuperset(map(type, value)):
        return tuple(value)
    if isinstance(value, (bool, int, float, complex, str)):
        return value
    if isinstance(value, (list, tuple)):
        return tuple(plain(v) for v in value)
    if isinstance(value, (torch.dtype, torch.memory_format, torch.layout)):
        return str(value).removeprefix("torch.")
    if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        return str(value)
    return str(value)
