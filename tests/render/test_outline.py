from dataclasses import replace

import drafts

from torchskip.render.outline import outline

IMAGE = (1, 8, 32, 32)


def tree(group):
    """The tree as nested labels."""
    return [tree_of(child) for child in group.children]


def tree_of(group):
    return [group.label, tree(group)] if group.children else group.label


def test_a_leaf_modules_call_is_one_step_and_a_function_one_each():
    graph = drafts.graph(
        ("norm", "mean", IMAGE),
        ("norm", "sub", IMAGE),
        ("", "relu", IMAGE),
        ("", "relu", IMAGE),
        leaves={"norm"},
    )
    chain = outline(graph)
    assert [(s.label, s.nodes) for s in chain.steps] == [
        ("norm", (0, 1)),
        ("relu", (2,)),
        ("relu", (3,)),
    ]
    assert chain.step_of == (0, 0, 1, 2)
    assert [chain.after(graph, value) for value in range(5)] == [0, 1, 1, 2, 3]


def test_a_leaf_that_holds_a_whole_skip_stays_open():
    rows = [
        ("stem", "convolution", IMAGE),
        *(("mix", "convolution", IMAGE),) * 2,
        ("mix", "add", IMAGE),
    ]
    graph = drafts.graph(*rows, leaves={"stem", "mix"})
    assert [s.label for s in outline(graph).steps] == ["stem", "mix"]
    chain = outline(graph, (drafts.skip(1, 3),))
    assert [s.label for s in chain.steps] == ["stem", "convolution", "convolution", "add"]


def test_steps_fold_under_their_module_paths():
    graph = drafts.graph(
        ("stem", "convolution", IMAGE),
        ("body.0.conv", "convolution", IMAGE),
        ("body.0", "add", IMAGE),
        ("body.1.conv", "convolution", IMAGE),
        ("body.1", "add", IMAGE),
        leaves={"stem", "body.0.conv", "body.1.conv"},
    )
    assert tree(outline(graph).root) == [
        "stem",
        ["body", [["0", ["conv", "add"]], ["1", ["conv", "add"]]]],
    ]


def test_wrappers_with_one_child_are_named_together():
    graph = drafts.graph(
        ("net.body.0.conv", "convolution", IMAGE),
        ("net.body.0.act", "relu", IMAGE),
        ("net.body.1", "relu", IMAGE),
        leaves={"net.body.0.conv", "net.body.0.act", "net.body.1"},
    )
    assert tree(outline(graph).root) == [["0", ["conv", "act"]], "1"]


def test_long_runs_of_like_blocks_fold_into_one():
    def block(i, width):
        return [
            (f"body.{i}.conv", "convolution", (1, width, 8, 8)),
            (f"body.{i}", "add", (1, width, 8, 8)),
        ]

    rows = [("stem", "convolution", IMAGE), *block(0, 8)]
    for i in range(1, 31):
        rows += block(i, 16)
    body = outline(
        drafts.graph(*rows, leaves={"stem", *(f"body.{i}.conv" for i in range(31))})
    ).root.children[1]
    assert [(g.label, g.alike, len(g.children)) for g in body.children] == [
        ("0", 1, 2),
        ("1–30", 30, 30),
    ]


def test_loose_layers_between_stages_are_gathered():
    rows = [("conv", "convolution", IMAGE), ("act", "relu", IMAGE)]
    rows += [(f"body.{i}", "relu", IMAGE) for i in range(30)]
    leaves = {"conv", "act", *(f"body.{i}" for i in range(30))}
    first, _ = outline(drafts.graph(*rows, leaves=leaves)).root.children
    assert (first.label, first.gathered, first.size) == ("conv–act", True, 2)


def test_the_only_module_used_of_a_list_is_named_whole():
    rows = [("ups.0", "convolution", IMAGE), ("", "cat", IMAGE), ("block.up", "convolution", IMAGE)]
    graph = drafts.graph(*rows, leaves={"ups.0", "block.up"})
    modules = tuple(replace(m, calls=0) if m.path == "ups" else m for m in graph.modules)
    children = outline(replace(graph, modules=modules)).root.children
    assert [(c.label, len(c.children)) for c in children] == [
        ("ups.0", 0),
        ("cat", 0),
        ("block", 1),
    ]


def test_neighbours_drop_their_common_prefix_in_short():
    rows = [(f"block.dense{i}.conv", "convolution", IMAGE) for i in (1, 2, 10)]
    rows += [("block.norm", "relu", IMAGE), ("head", "relu", IMAGE)]
    leaves = {module for module, _, _ in rows}
    block = outline(drafts.graph(*rows, leaves=leaves)).root.children[0]
    assert [child.short for child in block.children] == ["1", "2", "10", "norm"]


def test_steps_tile_the_chain_at_every_level(densenet121):
    chain = outline(densenet121.graph, densenet121.skips)
    assert sorted(node for step in chain.steps for node in step.nodes) == list(
        range(len(densenet121.graph.nodes))
    )
    for group in chain.root.walk():
        ends = [group.first - 1] + [child.last for child in group.children]
        assert [child.first for child in group.children] == [end + 1 for end in ends[:-1]]
        assert ends[-1] in (group.last, group.first - 1)
