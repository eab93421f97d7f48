import re
from xml.etree import ElementTree as ET

import pytest
from small_models import HOSTILE

from torchskip.render import to_svg
from torchskip.render.palette import INKS
from torchskip.render.svg import fit
from torchskip.render.words import plain

SVG = "{http://www.w3.org/2000/svg}"


def skips(svg):
    """Return title and paths of every drawn skip."""
    root = ET.fromstring(svg)  # noqa: S314
    groups = [g for g in root.iter(f"{SVG}g") if g.get("class", "").startswith("skip ")]
    named = [(g.find(f"{SVG}title"), g.find(f"{SVG}path")) for g in groups]
    return [(title.text, path.get("d")) for title, path in named if title is not None]


def test_draws_and_names_every_skip(residual):
    drawn = skips(to_svg(residual))
    titles = sorted(title for title, _ in drawn)
    assert [re.split(r", (?:aligned|off by)", title)[0] for title in titles] == [
        "1 identity (add): stem → layer1.0 add, 2×8×32×32, bypasses 2 layers",
        "2 identity (add): layer1.0 relu → layer1.1 add, 2×8×32×32, bypasses 2 layers",
        "3 projection (add): layer1.1 relu → layer2.0 add, 2×16×16×16, bypasses 2 layers",
        "4 identity (add): layer2.0 relu → layer2.1 add, 2×16×16×16, bypasses 2 layers",
    ]


@pytest.mark.parametrize(("name", "number"), [("densenet121", 58), ("resnet50", 16)])
def test_stays_small_with_every_skip_visible(request, name, number):
    svg = to_svg(request.getfixturevalue(name))
    assert len(skips(svg)) == number
    assert len(svg.encode()) < 100_000


def test_an_encoder_decoders_skips_bridge_the_valley_on_their_level(hourglass):
    for _, d in skips(to_svg(hourglass)):
        x1, y1, _, bend, _, _, x2, y2 = map(float, re.findall(r"-?[\d.]+", d))
        assert x1 < x2
        assert y1 == y2 > bend


def test_stands_alone(densenet121):
    svg = to_svg(densenet121)
    assert not re.search(r"href|url\(|@import|<script|<image|<foreignObject", svg)
    assert set(re.findall(r"https?://[^\"' ]+", svg)) == {"http://www.w3.org/2000/svg"}


def test_dresses_for_light_and_dark_and_touches_nothing_around_it(residual):
    style = re.search(r"<style>(.*)</style>", to_svg(residual)).group(1)
    light, dark = style.split("@media (prefers-color-scheme:dark){")
    for theme, rules in enumerate((light, dark.split("@media print{")[0])):
        assert f".torchskip .paper{{fill:{INKS['paper'][theme]}}}" in rules
        assert INKS["paper"][1 - theme] not in rules
    rules = re.sub(r"@media [^{]*\{", "", style)
    selectors = [s for rule in re.findall(r"([^{}]+)\{[^}]*\}", rules) for s in rule.split(",")]
    assert selectors
    assert all(selector.startswith(".torchskip ") for selector in selectors)


def test_is_labelled_for_those_who_listen(residual):
    root = ET.fromstring(to_svg(residual))  # noqa: S314
    label = "Residual: 4 skip connections (3 identity, 1 projection)"
    assert (root.get("role"), root.get("aria-label")) == ("img", label)
    assert root.find(f"{SVG}title").text == label


def test_names_are_text_and_never_markup(hostile):
    svg = to_svg(hostile)
    root = ET.fromstring(svg)  # noqa: S314
    assert not {"script", "img"} & {element.tag.rpartition("}")[2] for element in root.iter()}
    assert any(plain(HOSTILE) in (title.text or "") for title in root.iter(f"{SVG}title"))


def test_a_failed_join_is_crossed(broken):
    assert to_svg(broken).count('class="cross"') == 1


def test_the_same_graph_gives_the_same_picture(residual):
    assert to_svg(residual) == to_svg(residual)


@pytest.mark.parametrize(("room", "text"), [(100, "transition1"), (20, "1"), (6, "")])
def test_labels_fit_their_room(room, text):
    assert fit("transition1", "1", room) == text


def test_a_long_label_is_cut():
    assert fit("segmentation_head", "segmentation_head", 64) == "segmenta…"
