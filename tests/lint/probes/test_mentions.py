"""Which parts of a model no code names but the constructors that make them."""

import torch
from net import c2, seq
from torch import nn

from torchskip.lint.check import check
from torchskip.lint.probes.mentions import unnamed

X = torch.zeros(2, 4, 8, 8)


class Left(nn.Module):
    """Two parts are forgotten; one of them is built piece by piece."""

    def __init__(self):
        super().__init__()
        self.body, self.forgotten, self.downs = c2(), c2(), nn.ModuleList()
        for _ in range(2):
            self.downs.append(c2())
        nn.init.zeros_(self.forgotten.weight)

    def forward(self, x):
        """Not ``self.forgotten(x)``."""
        return self.body(x)  # self.downs


class Derived(Left):
    """Its base class does not name the parts either."""

    def helper(self, x):
        return self.body(x)


class Chosen(nn.Module):
    """A flag chooses: `a` does not run here and may elsewhere."""

    def __init__(self, first=False):
        super().__init__()
        self.first, self.a, self.b = first, c2(), c2()

    def forward(self, x):
        return self.a(x) if self.first else self.b(x)


class Pretrained(nn.Module):
    """Another method calls it, and a property hands one out."""

    def __init__(self):
        super().__init__()
        self.body, self.mask_decoder, self.kept = c2(), c2(), c2()

    def forward(self, x):
        return self.body(x)

    def reconstruct(self, x):
        return self.mask_decoder(x)

    @property
    def classifier(self):
        return self.kept


class Reaching(nn.Module):
    """It asks for its parts by names that are made."""

    def __init__(self):
        super().__init__()
        self.stage_0, self.stage_1 = c2(), c2()

    def forward(self, x, last=0):
        for i in range(last + 1):
            x = getattr(self, f"stage_{i}")(x)
        return x


class Handing(nn.Module):
    """Its constructor hands a part on, to a list that forward cuts short."""

    def __init__(self):
        super().__init__()
        self.one, self.two = c2(), c2()
        self.__dict__["order"] = [self.one, self.two]

    def forward(self, x, many=1):
        for layer in self.order[:many]:
            x = layer(x)
        return x


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.outer_alone_knows = c2(), c2()

    def forward(self, x):
        return self.used(x)


class Outer(nn.Module):
    """It calls a part of what it holds, with a flag."""

    def __init__(self, extra=False):
        super().__init__()
        self.inner, self.extra = Inner(), extra

    def forward(self, x):
        x = self.inner(x)
        return self.inner.outer_alone_knows(x) if self.extra else x


class Lent(nn.Module):
    """It hands itself to a function, which may name what it likes."""

    def __init__(self):
        super(Lent, self).__init__()  # noqa: UP008
        self.body, self.lent = c2(), c2()

    def forward(self, x):
        return run(self, x)


def run(model, x):
    return model.body(x)


class Keys(nn.ModuleDict):
    def __init__(self):
        super().__init__()
        self.first_key, self.second_key = c2(), c2()


class Keyed(nn.Module):
    """It asks for the parts of a dictionary by their keys."""

    def __init__(self):
        super().__init__()
        self.parts = Keys()

    def forward(self, x, key="first_key"):
        return self.parts[key](x)


def test_parts_that_are_only_made_are_unnamed():
    assert unnamed(Left(), ["downs", "forgotten", "body"]) == {"downs", "forgotten"}
    assert unnamed(seq(Derived()), ["0.downs", "0.forgotten"]) == {"0.downs", "0.forgotten"}


def test_parts_that_other_code_may_run_are_named():
    for model, paths in (
        (Chosen(), ["a"]),
        (Pretrained(), ["mask_decoder", "kept"]),
        (Reaching(), ["stage_1"]),
        (Handing(), ["two"]),
        (Outer(), ["inner.outer_alone_knows"]),
        (Lent(), ["lent"]),
        (Keyed(), ["parts.second_key"]),
        (seq(c2(), c2()), ["1"]),
    ):
        assert unnamed(model, paths) == frozenset(), type(model).__name__


def test_a_class_without_its_source_names_everything():
    lost = type("Lost", (nn.Module,), {"forward": eval("lambda self, x: self.body(x)")})()  # noqa: S307 -- a function without a file
    lost.body, lost.spare = c2(), c2()
    assert unnamed(lost, ["spare"]) == frozenset()


def test_check_warns_of_parts_that_are_only_made():
    (finding,) = check(seq(Left()), X, select=["TS108"]).findings
    assert (finding.severity, finding.module) == ("warning", "0")
    assert finding.message.startswith(
        "'forgotten' and 'downs' of Left never run, and only the constructor names them: 6 tensors"
    )


def test_check_says_nothing_of_parts_that_other_code_may_run():
    for model in (Chosen(), Pretrained(), Reaching(), Handing(), Outer(), Lent()):
        assert check(model, X, select=["TS108"]).findings == (), type(model).__name__
