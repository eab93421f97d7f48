"""The report: whole, self-contained, honest; opened in a browser where one is installed."""

import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from torchskip.prove import Comparison, Epoch, Plan, Run, Step
from torchskip.prove.report import to_html, to_table, write_report


def run(network, depth=20, seed=0, level=1.0, status="finished", count=40):
    steps = tuple(
        Step(i, 2 * level / (1 + i), 9, level / (1 + i), 0.1, (level, 0.5) if i % 10 == 0 else ())
        for i in range(count)
    )
    epochs = tuple(Epoch(i, 1.0, 0.5, 1.1, 0.4 + 0.1 * i) for i in range(count // 20))
    return Run(
        network, depth, seed, 9, ("a", "b"), status, 0.5, 0.91, 0.6, 0.8, steps, epochs, seconds=1.0
    )


@pytest.fixture
def comparison() -> Comparison:
    runs = [
        run(network, depth, seed, level)
        for depth in (20, 56)
        for seed in (0, 1)
        for network, level in (("plain", 0.01), ("residual", 1.0))
    ]
    return Comparison(
        tuple(runs), Plan(), "a <b> & c", 1000, "torchskip demo --seed 1", {"torch": "2"}
    )


def test_the_page_needs_nothing_else(comparison):
    page = to_html(comparison)
    links = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", page)
    assert {link for link in links if not link.startswith("#")} == {"results.json"}
    assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", page)
    assert "<script" not in page
    assert len(page) < 2_000_000
    assert page.count("<svg") == 4


def test_paired_differences_are_shown_where_there_are_several_seeds(comparison):
    page = to_html(comparison)
    assert "<td>plain-56 against plain-20</td><td>+0.0</td><td>+0.0 to +0.0</td>" in page
    alone = Comparison(comparison.runs[:2], Plan(), "i", 1000, "c", {})
    assert "paired by seed" not in to_html(alone)


def test_the_table_says_how_far_the_seeds_lie_apart(comparison):
    one, two = comparison.runs[0], comparison.runs[2]
    runs = one, replace(two, test_accuracy=0.7, train_loss=0.6)
    page = to_html(replace(comparison, runs=runs))
    assert '<td>75.0 %<span class="span">70.0 to 80.0</span></td>' in page
    assert '<td>0.550<span class="span">0.500 to 0.600</span></td>' in page
    assert 'class="span"' not in to_html(replace(comparison, runs=runs[:1]))


def test_what_the_commonest_class_would_score_is_drawn(comparison):
    assert "commonest" not in to_html(comparison)
    page = to_html(replace(comparison, commonest=0.1))
    assert "dotted: always answering the commonest class" in page


def test_names_are_escaped_and_ids_are_unique(comparison):
    page = to_html(comparison)
    assert "a &lt;b&gt; &amp; c" in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    referred = re.findall(r'(?:url\(|href=")#([^")]+)', page)
    assert set(referred) <= set(ids)


def test_the_curves_take_the_colours_of_the_page(comparison):
    page = to_html(comparison)
    drawn = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert {"var(--plain)", "var(--residual)"} <= set(re.findall(r"var\(--\w+\)", drawn))
    assert not re.findall(r"(?:fill|stroke): #(?!000000)\w{6}", drawn)


def test_every_tag_is_closed(comparison):
    unclosed: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag != "meta":
                unclosed.append(tag)

        def handle_endtag(self, tag):
            assert unclosed.pop() == tag

    Tags().feed(to_html(comparison))
    assert unclosed == []


def test_a_diverged_run_is_shown_as_such(comparison, tmp_path):
    broken = run("plain", 56, count=0, status="diverged")
    broken = Comparison((broken, run("residual", 56)), Plan(), "i", 1000, "c", {})
    assert '<span class="odd">diverged</span>' in to_html(broken)
    write_report(broken, tmp_path)


def test_results_come_back_equal(comparison, tmp_path):
    page = write_report(comparison, tmp_path / "new" / "out")
    record = json.loads((page.parent / "results.json").read_text())
    assert Comparison.from_record(record) == comparison
    assert page.read_text() == to_html(comparison)
    assert sorted(p.name for p in page.parent.iterdir()) == ["report.html", "results.json"]


def test_the_table(comparison):
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(to_table(comparison))
    text = console.export_text()
    assert re.search(r"plain-56 .*80\.0 % .*91\.0 % .*0\.500 .*0\.00050", text)
    assert re.search(r"residual-56 .*80\.0 % .*91\.0 % .*0\.500 .*0\.050", text)


CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_opens_the_page_without_complaint(comparison, tmp_path):
    page = write_report(comparison, tmp_path)
    log = tmp_path / "log"
    flags = "--headless --no-sandbox --disable-gpu --no-first-run --disable-component-update "
    flags += "--disable-background-networking --disable-sync --enable-logging --v=0 --dump-dom"
    done = subprocess.run(
        [CHROMIUM, *flags.split(), f"--user-data-dir={log}", Path(page).as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.count("<svg") == 4
    assert "CONSOLE" not in done.stderr


def test_the_networks_are_drawn_and_the_notes_told(comparison):
    drawn = (("plain", "<svg class='torchskip'></svg>"),)
    told = replace(comparison, model="net.py:Net", notes=("Cut: 3 <identity>.",))
    page = to_html(told, portraits=drawn)
    assert drawn[0][1] in page
    assert "<li>Cut: 3 &lt;identity&gt;.</li>" in page
    assert "<dt>model</dt><dd>net.py:Net</dd>" in page
    assert "What was compared" not in to_html(comparison)
