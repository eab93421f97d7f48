"""The page in headless Chromium: what a reader sees, points at and types."""

import re

import pytest
from test_svg import skips

from torchskip.render import to_html, to_svg
from torchskip.render.palette import INKS

FOCUS = "document.activeElement.getAttribute('aria-label')"


@pytest.fixture
def page(request, browser, tmp_path):
    """Open the page of a fixture by name; at the end nothing may have been complained."""
    browser.complaints.clear()
    browser.requests.clear()

    def load(name, **window):
        file = tmp_path / f"{name}.html"
        file.write_text(to_html(request.getfixturevalue(name)), encoding="utf-8")
        browser.open(file, **window)
        return browser

    yield load
    assert browser.complaints == []
    assert all(request.startswith(("file:", "data:")) for request in browser.requests)


def tab_to(page, role):
    for _ in range(20):
        page.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('role')") == role:
            return
    raise AssertionError(f"no {role} can be reached by Tab")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("name", ["broken", "hostile", "densenet121"])
def test_draws_at_every_width_in_both_themes(page, name, width, dark):
    shown = page(name, width=width, dark=dark)
    assert shown.evaluate("document.querySelectorAll('#picture .skip').length") > 0
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    paper = INKS["paper"][dark].lstrip("#")
    rgb = ", ".join(str(int(paper[i : i + 2], 16)) for i in (0, 2, 4))
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == f"rgb({rgb})"


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "hourglass"])
def test_draws_the_same_curves_as_the_static_picture(page, request, name):
    shown = page(name, width=1280)
    # the picture is as wide as in the static one: 1160 px and a pixel on each side
    shown.evaluate("document.querySelector('#picture').style.width = '1162px'; 0")
    shown.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
    curves = shown.evaluate(
        "Object.fromEntries([...document.querySelectorAll('#picture .skip')]"
        ".map(g => [g.getAttribute('aria-label'), g.querySelector('.line').getAttribute('d')]))"
    )
    static = dict(skips(to_svg(request.getfixturevalue(name))))
    assert curves.keys() == static.keys()
    for title, curve in curves.items():
        here, there = (
            [float(n) for n in re.findall(r"-?[\d.]+", d)] for d in (curve, static[title])
        )
        moved = [n + 19 if i % 2 == 0 else n for i, n in enumerate(here)]  # the other's margin
        assert moved == pytest.approx(there, abs=0.11)


def test_the_keyboard_walks_keeps_and_lets_go(page):
    shown = page("residual")
    tab_to(shown, "option")
    assert shown.evaluate(FOCUS).startswith("1 identity (add): stem → layer1.0 add")
    shown.press("ArrowRight", "ArrowRight")
    assert shown.evaluate(FOCUS).startswith("3 projection (add)")
    assert shown.evaluate("document.querySelectorAll('.band.branch').length") == 3
    assert shown.evaluate("document.querySelectorAll('.band.shortcut').length") == 1
    told = shown.evaluate("document.querySelector('#details').innerText")
    assert "layer2.0 add" in told
    assert "conv1" in told
    assert "down" in told
    shown.press("Enter")
    assert shown.evaluate("document.activeElement.getAttribute('aria-selected')") == "true"
    shown.press("End")
    assert shown.evaluate(FOCUS).startswith("4 identity")
    shown.press("Home")
    assert shown.evaluate(FOCUS).startswith("1 identity")
    shown.press("Escape")
    assert shown.evaluate("document.querySelectorAll('[aria-selected=true], .skip.on').length") == 0


def test_the_keyboard_folds_and_unfolds(page):
    shown = page("residual")
    tab_to(shown, "treeitem")
    before = shown.evaluate("document.querySelectorAll('.cell').length")
    shown.press("ArrowRight")
    assert shown.evaluate(FOCUS).startswith("layer1 Sequential")
    was = shown.evaluate("document.activeElement.getAttribute('aria-expanded')")
    shown.press("Enter")
    now = shown.evaluate("document.activeElement.getAttribute('aria-expanded')")
    assert {was, now} == {"true", "false"}
    assert shown.evaluate("document.querySelectorAll('.cell').length") != before
    assert shown.evaluate(FOCUS).startswith("layer1 Sequential")
    shown.press("Enter", "ArrowDown")
    assert shown.evaluate("document.querySelectorAll('.cell').length") == before
    shown.press("ArrowUp", "ArrowUp")
    assert shown.evaluate("document.activeElement.getAttribute('role')") in ("option", "treeitem")


def middle(page, label):
    """Where in the window the middle of a skip's curve lies."""
    return page.evaluate(
        f"""(() => {{
          const line = document.querySelector('.skip[aria-label^="{label}"] .line');
          const at = line.getPointAtLength(line.getTotalLength() / 2);
          const there = at.matrixTransform(line.getScreenCTM());
          return [there.x, there.y];
        }})()"""
    )


def test_the_pointer_shows_and_a_click_keeps(page):
    shown = page("residual")
    lit = "[...document.querySelectorAll('.skip.on')].map(g => g.dataset.skip).join()"
    assert shown.evaluate("document.querySelector('#details').hidden")
    shown.point(*middle(shown, "3 projection"))
    assert shown.evaluate(lit) == "2"
    assert "3 projection" in shown.evaluate("document.querySelector('#details').innerText")
    shown.point(5, 5)
    assert shown.evaluate(lit) == ""
    shown.point(*middle(shown, "2 identity"), click=True)
    shown.point(5, 5)
    assert shown.evaluate(lit) == "1"


def test_a_click_on_a_stage_folds_it(page):
    shown = page("residual")
    cells = "document.querySelectorAll('.cell').length"
    box = "document.querySelector('.cell.more').getBoundingClientRect()"
    before = shown.evaluate(cells)
    x, y = shown.evaluate(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({box})")
    shown.point(x, y, click=True)
    assert shown.evaluate(cells) != before


def test_folding_all_and_unfolding_all(page):
    shown = page("resnet50")
    cells = "document.querySelectorAll('.cell').length"
    start = shown.evaluate(cells)
    shown.evaluate("document.querySelector('[data-do=fold]').click()")
    folded = shown.evaluate(cells)
    shown.evaluate("document.querySelector('[data-do=unfold]').click()")
    unfolded = shown.evaluate(cells)
    assert folded < start < unfolded
    assert unfolded > 170
    shown.evaluate("document.querySelector('[data-do=reset]').click()")
    assert shown.evaluate(cells) == start


def test_search_and_kinds_filter_table_and_picture(page):
    shown = page("resnet50")
    rows = "[...document.querySelectorAll('tbody tr')].filter(r => !r.hidden).length"
    arcs = "document.querySelectorAll('.skip:not(.off)').length"
    shown.evaluate("document.querySelector('#search').focus()")
    shown.type("layer3.0 projection")
    assert (shown.evaluate(rows), shown.evaluate(arcs)) == (1, 1)
    assert shown.evaluate("document.querySelector('#found').textContent") == "1 of 16"
    shown.evaluate("search.value = ''; search.dispatchEvent(new Event('input'))")
    shown.evaluate("document.querySelector('[data-kind=identity]').click()")
    assert (shown.evaluate(rows), shown.evaluate(arcs)) == (4, 4)


def test_a_click_on_a_row_keeps_its_skip(page):
    shown = page("residual")
    shown.evaluate("document.querySelectorAll('tbody tr')[2].click()")
    assert shown.evaluate("document.querySelector('.skip.on').dataset.skip") == "2"
    assert "3 projection" in shown.evaluate("document.querySelector('#details').innerText")


def test_without_scripts_picture_and_table_are_there(page, browser):
    browser("Emulation.setScriptExecutionDisabled", value=True)
    try:
        shown = page("residual")
        assert (
            shown.evaluate("document.querySelectorAll('#picture svg.torchskip .skip title').length")
            == 4
        )
        assert shown.evaluate("document.querySelectorAll('tbody tr').length") == 4
        assert (
            shown.evaluate("getComputedStyle(document.querySelector('.tools')).display") == "none"
        )
    finally:
        browser("Emulation.setScriptExecutionDisabled", value=False)
