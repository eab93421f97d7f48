import json
import re
from html.parser import HTMLParser

import pytest
from small_models import HOSTILE

from torchskip.render import to_html
from torchskip.render.words import plain

VOID = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """Parses a page and refuses elements that are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.text = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def data(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL).group(1))


@pytest.mark.parametrize("name", ["residual", "broken", "hostile", "hourglass", "densenet121"])
def test_is_one_well_formed_page(request, name):
    page = Page(to_html(request.getfixturevalue(name)))
    tags = [tag for tag, _ in page.seen]
    assert [tags.count(tag) for tag in ("html", "head", "body", "h1", "main", "table")] == [1] * 6
    assert tags.count("script") == 2


@pytest.mark.parametrize(("name", "limit"), [("resnet50", 100_000), ("densenet121", 300_000)])
def test_stays_small(request, name, limit):
    assert len(to_html(request.getfixturevalue(name)).encode()) < limit


def test_asks_the_network_for_nothing(resnet50):
    text = to_html(resnet50)
    page = Page(text)
    links = [a[k] for _, a in page.seen for k in ("src", "href", "action") if k in a]
    assert links == ["data:,"]
    assert set(re.findall(r"https?://[^\"'`\s<]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|import\(", text)
    assert "default-src 'none'" in text


def test_names_are_text_and_never_markup(hostile):
    text = to_html(hostile)
    page = Page(text)
    assert "img" not in [tag for tag, _ in page.seen]
    assert text.count("</script>") == 2
    assert any(plain(HOSTILE) in word for word in data(text)["words"])


def test_the_table_lists_every_skip_with_its_lines(residual):
    text = to_html(residual)
    rows = re.findall(r'<tr data-skip="\d+">(.*?)</tr>', text, re.DOTALL)
    assert len(rows) == 4
    assert "small_models.py:18" in rows[2]
    words = " ".join(re.sub(r"<[^>]+>", " ", rows[2]).split())
    assert words.startswith("3 projection add layer1.1 relu")
    assert "2×16×16×16 2 layers" in words


def test_the_heading_is_the_given_title_or_the_class(residual):
    def head(page):
        found = re.search(r"<h1>(.*?)</h1>\s*<p[^>]*>(.*?)</p>", page, re.DOTALL)
        return [" ".join(part.split()) for part in found.groups()]

    name = residual.graph.model
    plain_page, titled = head(to_html(residual)), head(to_html(residual, "net.py:Net"))
    assert head(to_html(residual, name)) == plain_page
    assert plain_page[0] == name
    assert titled == ["net.py:Net", f"{name} · {plain_page[1]}"]


def test_the_failure_is_told_first(broken):
    text = to_html(broken)
    assert text.index("The forward pass stopped in bad") < text.index('id="picture"')
    assert "The size of tensor a (16) must match the size of tensor b (32)" in text


def test_arms_are_told_by_the_steps_of_the_chain(residual):
    record = data(to_html(residual))
    names = [record["words"][step[2]] for step in record["steps"]]
    arms = {arm[0]: arm[4] for arm in record["skips"][2]["arms"]}
    (first, last), (down, same) = arms["branch"], arms["shortcut"]
    assert names[first : last + 1] == ["layer2.0.conv1", "layer2.0.relu", "layer2.0.conv2"]
    assert names[down] == "layer2.0.down"
    assert down == same


def test_no_skip_is_said_in_words(see):
    import torch

    assert "No skip connection: every value has one way" in to_html(see(torch.nn.Conv2d(3, 8, 3)))
