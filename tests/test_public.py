"""The flat public namespace."""

import pytest

import torchskip


def test_the_public_names_are_these():
    assert torchskip.__all__ == [
        "FusedModel",
        "Inspection",
        "MergeShapeError",
        "Report",
        "Skip",
        "TorchskipError",
        "check",
        "compare",
        "export",
        "fuse",
        "inspect",
        "mend",
    ]


@pytest.mark.parametrize("name", torchskip.__all__)
def test_every_public_name_is_there(name):
    value = getattr(torchskip, name)
    assert value.__name__ == name
    assert value.__doc__
    assert name in dir(torchskip)


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="module 'torchskip' has no attribute 'chekc'"):
        torchskip.chekc  # noqa: B018
