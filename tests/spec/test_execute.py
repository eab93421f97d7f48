"""Files of packages: their relative imports mean the package that they lie in."""

import sys

import pytest

from torchskip.errors import SpecError
from torchskip.spec.load import load

PARTS = "from torch import nn\nclass Block(nn.ReLU): pass\n"
NET = "from {parts} import Block\nclass Net(Block): pass\n"


@pytest.fixture(autouse=True)
def _modules():
    before = dict(sys.modules)
    yield
    sys.modules.clear()
    sys.modules.update(before)


def written(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.mark.parametrize("init", [{}, {"__init__": ""}, {"__init__": "from .net import Net"}])
def test_a_neighbour_by_a_relative_import(tmp_path, init):
    folder = written(tmp_path / "unet", parts=PARTS, net=NET.format(parts=".parts"), **init)
    (found,), _ = load(f"{folder}/net.py:Net")
    assert type(found.model).__mro__[1].__module__ == "unet.parts"
    assert str(tmp_path) not in sys.path


def test_a_folder_above(tmp_path):
    written(tmp_path / "repo", __init__="", parts=PARTS)
    folder = written(tmp_path / "repo" / "models", net=NET.format(parts="..parts"))
    (found,), _ = load(f"{folder}/net.py:Net")
    assert type(found.model).__module__ == "repo.models.net"


def test_a_package_that_does_not_import_itself(tmp_path):
    folder = written(
        tmp_path / "unet",
        __init__="import a_library_that_is_missing",
        parts=PARTS,
        net=NET.format(parts=".parts"),
    )
    (found,), _ = load(f"{folder}/net.py:Net")
    assert type(found.model).__name__ == "Net"


def test_two_packages_of_one_name(tmp_path):
    for place, word in (("a", "ReLU"), ("b", "SiLU")):
        parts = PARTS.replace("ReLU", word)
        folder = written(tmp_path / place / "models", parts=parts, net=NET.format(parts=".parts"))
        (found,), _ = load(f"{folder}/net.py:Net")
        assert str(found.model) == "Net()"
        assert type(found.model).__mro__[2].__name__ == word


def test_a_name_that_is_installed_stays_what_it_is(tmp_path):
    import torch

    folder = written(tmp_path / "torch", parts=PARTS, net=NET.format(parts=".parts"))
    with pytest.raises(SpecError, match="attempted relative import with no known parent package"):
        load(f"{folder}/net.py:Net")
    assert sys.modules["torch"] is torch


def test_a_package_that_names_itself(tmp_path):
    """As from the folder that holds it, wherever that is."""
    written(tmp_path / "repo" / "lib", __init__="", parts=PARTS)
    folder = written(
        tmp_path / "repo" / "lib" / "nets", __init__="", net=NET.format(parts="lib.parts")
    )
    (found,), _ = load(f"{folder}/net.py:Net")
    assert type(found.model).__mro__[1].__module__ == "lib.parts"
    assert str(tmp_path) not in "".join(sys.path)
