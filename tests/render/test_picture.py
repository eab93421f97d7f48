from dataclasses import replace

import drafts
import pytest

from torchskip.render.picture import CELL, PAGE, cells, picture, shades, widths


def visible(seen):
    scene = picture(seen.graph, seen.skips)
    return [cell.module for cell in cells(scene.outline.root, scene.unfolded)]


def test_an_arc_runs_from_the_values_step_to_the_joins_middle():
    rows = [("", "convolution", (1, 8, 8, 8))] * 4 + [("", "add", (1, 8, 8, 8))]
    scene = picture(drafts.graph(*rows), (drafts.skip(1, 4), drafts.skip(0, 4)))
    assert [(arc.starts, arc.end) for arc in scene.arcs] == [((1.0,), 4.5), ((0.0,), 4.5)]


def test_a_dense_join_has_a_strand_per_earlier_layer(densenet121):
    scene = picture(densenet121.graph, densenet121.skips)
    sizes = [len(arc.starts) for arc in scene.arcs]
    # block of n layers: joins of 2, 3 ... n + 1 maps, of which the last is the chain itself
    assert sorted(sizes) == sorted(k for n in (6, 12, 24, 16) for k in range(1, n + 1))


def test_stages_are_open_and_blocks_folded_at_first(resnet50):
    modules = visible(resnet50)
    assert [m for m in modules if m.startswith("layer3")] == [f"layer3.{i}" for i in range(6)]
    assert len(modules) == 2 + 16


@pytest.mark.parametrize(("kind", "open_"), [("gate", False), ("identity", True)])
def test_gates_do_not_open_a_block(kind, open_):
    rows = [("stem", "convolution", (1, 8, 8, 8))]
    rows += [(f"block.{name}", "convolution", (1, 8, 8, 8)) for name in "abcdefgh"]
    graph = drafts.graph(*rows, leaves={module for module, _, _ in rows})
    skips = tuple(drafts.skip(start, start + 2, kind) for start in (2, 4, 6))
    scene = picture(graph, skips)
    block = scene.outline.root.children[1]
    assert (block in scene.unfolded) is open_


def test_every_dense_layer_is_visible(densenet121):
    assert sum("denselayer" in module for module in visible(densenet121)) == 58


def test_the_chain_fills_the_page_and_its_cells_can_be_read(densenet121):
    scene = picture(densenet121.graph, densenet121.skips)
    each = widths(scene.outline, scene.unfolded)
    assert sum(each) == pytest.approx(PAGE)
    for cell in cells(scene.outline.root, scene.unfolded):
        assert sum(each[cell.first : cell.last + 1]) >= CELL * 0.9


def test_a_deep_chain_of_like_blocks_stays_one_cell():
    rows = []
    for i in range(1000):
        rows += [
            (f"body.{i}.conv", "convolution", (1, 8, 8, 8)),
            (f"body.{i}", "add", (1, 8, 8, 8)),
        ]
    rows += [("head", "mean", (1, 8))]
    leaves = {f"body.{i}.conv" for i in range(1000)}
    skips = tuple(drafts.skip(2 * i, 2 * i + 1) for i in range(1000))
    scene = picture(drafts.graph(*rows, leaves=leaves), skips)
    assert len(cells(scene.outline.root, scene.unfolded)) == 2


def test_shades_are_one_per_cell(resnet50):
    scene = picture(resnet50.graph, resnet50.skips)
    tones = shades(scene)
    assert len(tones) == len(scene.outline.steps)
    for cell in cells(scene.outline.root, scene.unfolded):
        assert len(set(tones[cell.first : cell.last + 1])) == 1


def test_only_crowded_dense_nets_are_drawn_fine(densenet121, residual):
    crowded = picture(densenet121.graph, densenet121.skips)
    assert {crowded.texture(arc) for arc in crowded.arcs} == {"fine"}
    dense = picture(residual.graph, tuple(replace(s, kind="dense") for s in residual.skips))
    assert {dense.texture(arc) for arc in dense.arcs} == {""}
