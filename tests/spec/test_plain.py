"""Values of expressions that are read and never run."""

import ast

import pytest
import torch

from torchskip.spec.plain import UnknownError, Values, tensor


class Plain(Values):
    """Knows no name and no call, and notes the calls that it was asked for."""

    def __init__(self, **namespace):
        super().__init__(namespace)
        self.asked = []

    def named(self, value):
        return False

    def call(self, node):
        self.asked.append(ast.unparse(node))
        raise UnknownError


def read(text, **namespace):
    return Plain(**namespace).look(ast.parse(text, mode="eval").body)


@pytest.mark.parametrize(
    ("text", "value"),
    [("2 * 3 + 1", 7), ("-(4 // 3)", -1), ("(1, [2, 'a'])", (1, [2, "a"])), ("{'a': 1}", {"a": 1})],
)
def test_plain_values_are_computed(text, value):
    assert read(text) == value


def test_names_and_their_parts_are_known():
    assert read("sizes[1]", sizes=(3, 5)) == 5
    assert read("torch.float16", torch=torch) is torch.float16


@pytest.mark.parametrize("text", ["x", "torch.nn", "2 @ 3", "len('ab')"])
def test_the_rest_is_unknown(text):
    assert read(text, torch=torch) is UnknownError


def test_what_is_written_inside_the_unknown_is_seen():
    values = Plain()
    values.look(ast.parse("x + Net(3)", mode="eval").body)
    assert values.asked == ["Net(3)"]


def test_a_huge_batch_is_cut_to_one():
    assert tensor("randn", [4096, 3, 96, 96], {}).shape == (1, 3, 96, 96)
    assert tensor("zeros", [(2, 3)], {}).shape == (2, 3)
