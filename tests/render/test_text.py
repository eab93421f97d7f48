from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console
from small_models import Loop

from torchskip.graph import Graph
from torchskip.render import renderable, to_text

RESIDUAL = """\
2×3×32×32 → 2×10 · 24 operations

Residual
├── stem Conv2d                     2×8×32×32
├── layer1 Sequential               2×8×32×32
│   ├── 0 Block                     2×8×32×32
│   │   └── ↷ 1 identity  add, bypasses 2 layers, aligned
│   │         split     stem  2×8×32×32  tests/render/small_models.py:32
│   │         join      layer1.0 add  2×8×32×32  tests/render/small_models.py:18
│   │         branch    conv1 2×8×32×32 → relu → conv2
│   │         shortcut  identity 2×8×32×32
│   └── 1                           2×8×32×32  like 0
│       └── ↷ 2 identity  layer1.0 relu → layer1.1 add
├── layer2 Sequential               2×16×16×16
│   ├── 0 Block                     2×16×16×16
│   │   └── ↷ 3 projection  add, bypasses 2 layers, off by 0.5 px
│   │         split     layer1.1 relu  2×8×32×32  tests/render/small_models.py:18
│   │         join      layer2.0 add  2×16×16×16  tests/render/small_models.py:18
│   │         branch    conv1 2×16×16×16 → relu → conv2
│   │         shortcut  down 2×16×16×16
│   └── 1 Block                     2×16×16×16
│       └── ↷ 4 identity  add, bypasses 2 layers, aligned
│             split     layer2.0 relu  2×16×16×16  tests/render/small_models.py:18
│             join      layer2.1 add  2×16×16×16  tests/render/small_models.py:18
│             branch    conv1 2×16×16×16 → relu → conv2
│             shortcut  identity 2×16×16×16
└── mean–head                       2×10

4 skip connections: 3 identity, 1 projection, 1 not aligned
"""

BROKEN = """\
└── bad Block
    └── ↷ 2 identity  add, bypasses 2 layers  fails
          split     good relu  2×8×32×32  tests/render/small_models.py:18
          join      bad add  2×16×16×16 against 2×8×32×32  tests/render/small_models.py:18
          branch    conv1 2×16×16×16 → relu → conv2
          shortcut  identity 2×8×32×32

The forward pass stopped in bad  tests/render/small_models.py:18
  RuntimeError: The size of tensor a (16) must match the size of tensor b (32) at non-singleton
  dimension 3

2 skip connections: 2 identity, 1 fails
"""


@pytest.fixture(autouse=True)
def _at_the_repository(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])  # places are told relative to it


def aligned(seen, off=(), known=True):
    """Set the alignment errors, which are not the rendering's business, and drop the notes."""
    skips = []
    for number, skip in enumerate(seen.skips, start=1):
        error = (0.5, 0.5) if number in off else (0.0, 0.0)
        skips.append(replace(skip, alignment=error if known else None, notes=()))
    return replace(seen, skips=tuple(skips))


def test_names_every_skip_in_the_tree_of_modules(residual):
    assert to_text(aligned(residual, off={3})) + "\n" == RESIDUAL


def test_shows_the_failing_join_and_both_shapes(broken):
    assert to_text(aligned(broken, known=False)).endswith(BROKEN.rstrip())


def test_marks_detached_and_dead(hostile):
    text = to_text(aligned(hostile, known=False))
    assert "add, bypasses 1 layer  detached\n" in text
    assert "shortcut  detach 2×8×32×32, detached\n" in text
    assert "add, bypasses 1 layer  dead\n" in text
    assert text.endswith("2 skip connections: 2 identity, 1 detached, 1 dead")


def test_module_names_cannot_steer_the_terminal(hostile):
    stream = StringIO()
    Console(file=stream, width=200, color_system=None).print(renderable(hostile))
    shown = stream.getvalue()
    assert 'onerror=alert(1)>"&[red]\ufffd[31m\ufffd Conv2d' in shown
    assert not {"\x1b", "\u202e"} & set(shown)


def test_tells_the_calls_of_one_block_apart(see):
    text = to_text(see(Loop()))
    assert "join      block add  " in text
    assert "split     block relu  " in text
    assert "join      block add (call 2)  " in text
    assert "join      block add (call 3)  " in text


@pytest.mark.parametrize("width", [40, 60, 100, 200])
def test_fits_the_width_and_carries_no_colour_codes(densenet121, width):
    text = to_text(densenet121, width)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text


def test_colours_only_a_terminal(residual):
    piped, terminal = StringIO(), StringIO()
    Console(file=piped).print(renderable(residual))
    Console(file=terminal, force_terminal=True, color_system="truecolor").print(
        renderable(residual)
    )
    assert "\x1b[" not in piped.getvalue()
    assert "\x1b[" in terminal.getvalue()


def test_lists_many_arms_by_their_ends(densenet121):
    text = to_text(densenet121, 400)
    last = text[text.index("↷ 58 dense") :]
    assert "identity" in last
    assert "denselayer16.conv2" in last
    assert "… 9 more …" in last


class Pyramid(torch.nn.Module):
    """Splits its channels, of which a quarter goes past three convolutions."""

    def __init__(self):
        super().__init__()
        self.convs = torch.nn.ModuleList(torch.nn.Conv2d(2, 2, 3, padding=1) for _ in range(3))
        self.relu = torch.nn.ReLU()
        self.last = torch.nn.Conv2d(8, 8, 1)

    def forward(self, x):
        first, *parts = self.last(torch.cat([x, x, x], 1)[:, :8]).chunk(4, 1)
        return self.last(torch.cat([first, *map(self.branch, self.convs, parts)], 1))

    def branch(self, conv, part):
        return self.relu(conv(part))


def test_many_arms_are_told_by_where_they_differ(see):
    text = to_text(see(Pyramid()), 200)
    told = text[text.index("split-concat") :]
    assert "3 branches  convs.0, convs.1, convs.2" in told
    assert "shortcut    split 2×2×32×32" in told


def test_every_skip_is_named(densenet121):
    text = to_text(densenet121, 200)
    assert [f"↷ {number} " in text for number in range(1, 59)] == [True] * 58


def test_a_model_without_skips(see):
    text = to_text(see(torch.nn.Conv2d(3, 8, 3)))
    assert text == (
        "2×3×32×32 → 2×8×30×30 · 1 operation\n\n"
        "Conv2d\n└── convolution                     2×8×30×30\n\n0 skip connections"
    )


def test_an_empty_graph_renders(residual):
    empty = Graph("Nothing", (), (), (), ())
    assert to_text(replace(residual, graph=empty, skips=())).endswith("0 skip connections")
