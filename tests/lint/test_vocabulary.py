"""Names that mean a shortcut, and the nearest ones that do not."""

import pytest

from torchskip.lint import vocabulary

YES = {
    "promises": ["use_res_connect", "use_shortcut", "has_skip", "add_identity", "do_res", "res"],
    "saved": ["residual", "shortcut", "x_skip", "skipx", "x_orig", "orig_input", "res"],
    "of_training": ["aux_head", "classifier", "teacher", "ema_encoder", "projector", "loss_fn"],
    "collects": ["skips", "skip_connections", "identities", "enc_feats", "encoder_features"],
    "operand": ["identity", "skip_conv", "res_samples", "residual_layer", "nin_shortcut"],
    "shortcut": ["shortcut", "nin_shortcut", "downsample", "skip_conv", "shape_match_conv"],
    "bypass": ["residual", "res_conv", "H_res_logits", "skipinit_gain", "downsample"],
    "may_project": ["proj_out", "match", "residual_convs"],
    "projection": ["nin_shortcut", "channel_downsample", "matching"],
    "residual_projection": ["residual_layer", "res_proj", "res_conv1x1"],
    "says_residual": ["ResBlock", "ResnetBlock2D", "ResidualUnit", "Residual", "ResnetBottleneck"],
}
NO = {
    "promises": ["no_skip", "residual_pooling", "resample", "concat_skip", "rescale", "bias"],
    "saved": ["skip_connections", "res_block", "result", "original_image_sizes", "x_down"],
    "of_training": ["schema", "downs", "bottleneck", "proj", "decoder"],
    "collects": ["features", "outs", "skip_shapes", "encoder_mask", "encoder_out", "results"],
    "operand": ["result", "features", "restored", "out"],
    "shortcut": ["residual", "res_conv", "matcher", "stitch", "conv1"],
    "bypass": ["res1", "resize", "result", "features", "conv1"],
    "may_project": ["conv1", "head"],
    "projection": ["skip", "res_skip_layer", "skip_downsample", "residual"],
    "residual_projection": ["residual", "res_conv", "residual_blocks"],
    "says_residual": ["ResNet", "Restormer", "Resize", "Block"],
}


@pytest.mark.parametrize("meaning", YES)
def test_names_mean_it_and_their_neighbours_do_not(meaning):
    means = getattr(vocabulary, meaning)
    assert [n for n in YES[meaning] if not means(n)] == []
    assert [n for n in NO[meaning] if means(n)] == []


def test_every_meaning_has_names():
    assert vocabulary.__all__ == sorted(YES) == sorted(NO)
