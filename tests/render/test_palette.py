from itertools import combinations

import pytest

from torchskip.render.palette import INKS, LINES, SHADES_DARK, SHADES_LIGHT
from torchskip.render.words import KINDS


def linear(colour):
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def contrast(one, two):
    """WCAG 2.2's contrast ratio."""
    light, dark = sorted(
        (0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (linear(one), linear(two))),
        reverse=True,
    )
    return (light + 0.05) / (dark + 0.05)


def test_contrast_knows_black_on_white():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_every_kind_has_a_line():
    assert tuple(LINES) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_lines_stand_out_from_their_paper_as_text_must(kind):
    light, dark = INKS["paper"]
    assert contrast(LINES[kind].light, light) >= 4.5
    assert contrast(LINES[kind].dark, dark) >= 4.5


@pytest.mark.parametrize("name", ["ink", "soft", "alarm"])
@pytest.mark.parametrize("on", ["paper", "cell"])
@pytest.mark.parametrize("theme", [0, 1])
def test_text_is_readable(name, on, theme):
    assert contrast(INKS[name][theme], INKS[on][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1])
def test_gates_and_sizes_are_seen_on_the_ground(theme):
    shades = (SHADES_LIGHT, SHADES_DARK)[theme]
    gate = (LINES["gate"].light, LINES["gate"].dark)[theme]
    assert min(contrast(gate, shade) for shade in shades) >= 3
    assert min(contrast(INKS["ink"][theme], shade) for shade in shades) >= 4.5


def test_no_two_kinds_differ_by_colour_alone():
    looks = [(line.weight, line.dash) for line in LINES.values()]
    assert all(one != two for one, two in combinations(looks, 2))
