"""Which module is told to run in another's place, and which norm is missed beside its like."""

import pytest
import torch
from net import Net
from torch import nn

from torchskip.lint.check import check

X = torch.zeros(2, 6, 8)


def stack(*blocks):
    return nn.Sequential(nn.Linear(8, 8), *blocks, nn.LayerNorm(8), nn.Linear(8, 3))


def layers(**norms):
    return {**norms, "attn": nn.Linear(8, 8), "mlp": nn.Linear(8, 8)}


def found(code, *blocks):
    torch.manual_seed(0)
    return check(stack(*blocks), X, select=[code]).findings


def first_alone(s, x):
    x = x + s.attn(s.norm1(x))
    return x + s.mlp(x)


def both(s, x):
    x = x + s.attn(s.norm1(x))
    return x + s.mlp(s.norm2(x))


def test_the_second_of_two_norms_is_missed():
    (finding,) = found(
        "TS108", Net(first_alone, **layers(norm1=nn.LayerNorm(8), norm2=nn.LayerNorm(8)))
    )
    assert finding.severity == "warning"
    assert finding.message.startswith(
        "'1.norm2' (LayerNorm) never runs, and '1.norm1' beside it does"
    )


@pytest.mark.parametrize(
    ("forward", "norms"),
    [
        (both, {"norm1": nn.LayerNorm(8), "norm2": nn.LayerNorm(8)}),
        (first_alone, {"norm1": nn.LayerNorm(8), "norm2": nn.LayerNorm(4)}),  # of another size
        (first_alone, {"norm1": nn.LayerNorm(8), "norm_cross": nn.LayerNorm(8)}),  # of another use
        (first_alone, {"norm1": nn.LayerNorm(8), "norm2": nn.Identity()}),
    ],
)
def test_norms_that_run_or_are_no_like_are_not(forward, norms):
    assert found("TS108", Net(forward, **layers(**norms))) == ()


class TwoStreams(nn.Module):
    """The norms of the first half serve the second half too."""

    def __init__(self):
        super().__init__()
        for name in ("text_attn", "image_attn", "text_ff", "image_ff"):
            setattr(self, f"{name}_norm", nn.LayerNorm(8))
        self.attn, self.text_ff, self.image_ff = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        text, image = x[:, :2], x[:, 2:]
        text = text + self.attn(self.text_attn_norm(text))
        image = image + self.attn(self.image_attn_norm(image))
        text = text + self.text_ff(self.text_attn_norm(text))
        image = image + self.image_ff(self.image_attn_norm(image))
        return torch.cat([text, image], 1)


def test_each_stream_names_its_own_norm():
    told = [f.message for f in found("TS203", TwoStreams())]
    assert [t.partition(", of its kind")[0] for t in told] == [
        "'1.text_attn_norm' (LayerNorm) runs twice and '1.text_ff_norm'",
        "'1.image_attn_norm' (LayerNorm) runs twice and '1.image_ff_norm'",
    ]


def test_a_norm_of_what_it_has_normalised_is_dropped():
    def forward(s, x):
        h = s.norm(x)
        h = s.norm(h)
        return x + s.attn(h)

    (finding,) = found("TS203", Net(forward, norm=nn.LayerNorm(8), attn=nn.Linear(8, 8)))
    assert finding.message.endswith("with nothing between: what is normalised is normalised again")
    assert [m.text for m in finding.mends] == ["drop one of the two calls"]


def test_a_norm_behind_another_layer_is_a_level_of_its_own():
    def forward(s, x):
        h = s.norm(x)
        h = s.norm(s.attn(h))
        return x + s.mlp(h)

    (finding,) = found("TS203", Net(forward, **layers(norm=nn.LayerNorm(8))))
    assert finding.message.endswith("two levels share one layer")
