"""What a statement that cannot be run costs: what needs it, and no more."""

import pytest

from torchskip.errors import SpecError
from torchskip.example import infer_example
from torchskip.spec.load import load

MISSING = """
import torch
import a_library_of_no_name as gone
from a_library_of_no_name.cnn import ConvModule, registry
from torch import nn

class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)
    def forward(self, x):
        return self.conv(x)

@registry.register_module()
class Registered(Whole):
    @gone.amp.autocast()
    def forward(self, x):
        return self.conv(x)

class Built(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = ConvModule(3, 3)

class Derived(gone.BaseModule):
    pass

class Below(Whole):
    pass
"""
SAID = "ModuleNotFoundError: No module named 'a_library_of_no_name'"


def written(tmp_path, text):
    path = tmp_path / "net.py"
    path.write_text(text)
    return str(path)


def test_a_missing_library_costs_what_needs_it(tmp_path):
    loaded, skipped = load(written(tmp_path, MISSING))
    assert [one.name for one in loaded] == ["Whole", "Registered", "Below"]
    assert [s.reason for s in skipped] == [
        f"line 3 does not import: {SAID}",
        f"line 4 does not import: {SAID}",
        f"line 25 is left out: {SAID}",
        f"constructing 'Built' failed: {SAID}",
    ]


NEEDED = """
from torch import nn
from a_library_of_no_name import attention
class Net(nn.Conv2d):
    def __init__(self): super().__init__(3, 3, 3)
    def forward(self, x): return attention(super().forward(x))
"""


def test_a_forward_that_needs_it_cannot_be_run(tmp_path):
    ((net,), _) = load(written(tmp_path, NEEDED))
    with pytest.raises(SpecError) as caught:
        infer_example(net.model)
    assert str(caught.value) == f"it cannot be run here: {SAID}"


CRASHES = """
from torch import nn
WIDTH = 3
class Net(nn.Conv2d):
    def __init__(self):
        super().__init__(WIDTH, DEPTH, 3)
open("weights of no name.pt")
DEPTH = 4
(DEPTH + print("never"))
made = Net()
class Late(Net):
    pass
"""


def test_behind_a_crash_definitions_and_plain_values_are_run(tmp_path, capsys):
    loaded, skipped = load(written(tmp_path, CRASHES))
    assert [one.name for one in loaded] == ["Net", "Late"]
    assert [s.reason.partition(": F")[0] for s in skipped] == ["stopped while loading: line 7"]
    assert "never" not in capsys.readouterr().err


def test_a_file_of_missing_libraries_alone(tmp_path):
    path = written(tmp_path, "import a_library_of_no_name\nfrom torch import nn\n")
    with pytest.raises(SpecError) as caught:
        load(path)
    assert str(caught.value) == (
        f"{path!r} line 1 does not import: {SAID}, before any model was defined"
    )


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_a_file_is_run_as_python_runs_it(tmp_path, future):
    """Its docstring, its ``__future__`` and the lines of its classes are what they were."""
    text = (
        f'"""Says {{}}."""\n{future}from torch import nn\nclass Net(nn.ReLU):\n'
        "    says = __doc__.format(1)\n    def forward(self, x: nn.Module) -> None: pass\n"
    )
    ((net,), _) = load(written(tmp_path, text))
    hint = type(net.model).forward.__annotations__["x"]
    assert (net.model.says, hint == "nn.Module") == ("Says 1.", bool(future))
