"""What names mean: a shortcut (of flags, values, layers, classes), or a part that training calls.

`shortcut`, `skip` and `identity` mean one wherever they stand, and `residual` or `res` may mean the
branch as well: ``x + self.residual(x)``. Each function says of which names it holds, and why of
those alone.
"""

from __future__ import annotations

import re

__all__ = [
    "bypass",
    "collects",
    "may_project",
    "of_training",
    "operand",
    "projection",
    "promises",
    "residual_projection",
    "saved",
    "says_residual",
    "shortcut",
]

_WORDS = r"short_?cut|skip|identity|residual"
# A word of a name: of `res_conv`, and not of `res1` and `resize`.
_WHOLE = r"(?<![^\W_])(?:{})(?![^\W_])"
_MATCH = _WHOLE.format("match(?:ing)?")
_CONNECTION = r"_?(connect|connections?|blocks?|units?)"

_FLAG = re.compile(rf"((use|with|has|add|is|do)_)?(res|{_WORDS})s?({_CONNECTION})?", re.I)
_VALUE = re.compile(rf"(x_?)?(res|{_WORDS}|orig|original|saved)(_?(x|input|connection|in))?", re.I)
_WAY = re.compile(rf"short_?cut|skip|identity|down_?sample|{_MATCH}", re.I)
_EITHER = re.compile(rf"residual|{_WHOLE.format('res')}", re.I)
_RESIDUAL = re.compile(r"res(idual)?_?(layer|linear|fc|proj\w*|conv1x1)", re.I)
_TRAINED = re.compile(
    r"head|aux|class|pred|logit|project(or|ion)|loss|criter|teacher|momentum|discrimin"
    r"|(?<![a-z])ema(?![a-z])|target",
    re.I,
)
_MANY = re.compile(rf"({_WORDS}|identitie)s?(_\w+)?|(encoder|enc|down)_?(feat|feature|map)s?", re.I)
_OTHER = re.compile("shape|size|dim|mask|index|idx", re.I)
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|[a-z]+")


def promises(flag: str) -> bool:
    """Whether an attribute of this name, when set, wants a shortcut: ``use_res_connect``.

    The whole name: ``no_skip`` and ``residual_pooling`` say something else.
    """
    return _FLAG.fullmatch(flag) is not None


def saved(value: str) -> bool:
    """Whether a local value of this name waits to be added: ``residual``, ``x_orig``.

    The whole name: ``skip_connections`` is a list, ``res_block`` a branch.
    """
    return _VALUE.fullmatch(value) is not None


def collects(values: str) -> bool:
    """Whether a list of this name waits to be joined on the way up: ``skips``, ``enc_feats``."""
    return _MANY.fullmatch(values) is not None and _OTHER.search(values) is None


def operand(word: str) -> bool:
    """Whether a value, or the layer whose result it is, is a sum's arm for its name."""
    return saved(word) or bypass(word)


def shortcut(layer: str) -> bool:
    """Whether a layer of this name can be nothing but a shortcut.

    Not ``residual``: a branch is called so too.
    """
    return _WAY.search(layer) is not None


def bypass(layer: str) -> bool:
    """Whether a layer, or a weight, of this name is a shortcut's where it never runs.

    With ``residual`` and ``res_conv``: a branch that never runs has no sum to miss it.
    """
    return shortcut(layer) or _EITHER.search(layer) is not None


def may_project(layer: str) -> bool:
    """Whether a layer of this name may be a projection, where its widths say so too."""
    return bypass(layer) or "proj" in layer.lower()


def projection(layer: str) -> bool:
    """Whether a layer of this name is a shortcut's even as the last one of a branch.

    Not ``skip``: a WaveNet's ``res_skip_layer`` ends the branch, and gives the net's skip besides.
    """
    return shortcut(layer) and "skip" not in layer.lower()


def residual_projection(layer: str) -> bool:
    """Whether a layer of this name is a projection where its arm has no other layer: TiDE.

    For ``residual_layer`` and ``res_proj``: alone they are too small for a branch.
    """
    return _RESIDUAL.fullmatch(layer) is not None


def of_training(part: str) -> bool:
    """Whether a training loop may call a part of this name: a head, a teacher, a loss."""
    return _TRAINED.search(part) is not None


def says_residual(kind: str) -> bool:
    """Whether a class name says residual block: ``ResBlock``, ``ResnetBlock``, ``ResidualUnit``."""
    words = [w.lower() for w in _CAMEL.findall(kind)]
    block = any(w.startswith(("block", "unit", "bottleneck")) for w in words)
    return any(
        w in {"residual", "resnet", "res"} or (w.startswith("res") and w[3:] in {"block", "unit"})
        for w in words
    ) and (block or "residual" in words or any(w in {"resblock", "resunit"} for w in words))
