"""The skip connections of public models, counted by reading their source.

One row a model: how many joins of each kind, some of their places, and why. A place is
(count, kind, module of the join, text of the join's line, module that made the split value);
modules are shell patterns, ``""`` is the model's own forward. No row was taken from a tool's
output; where a tool and a row differ, the source decides. Kinds are defined in docs/kinds.md.
Read with torchvision 0.28, timm 1.0.30, MONAI 1.6 and segmentation_models_pytorch 0.5.
"""

from __future__ import annotations

from tests.truth.row import Row

__all__ = ["QUICK", "TABLE"]


def _resnet(blocks: int, gates: int = 0) -> dict[str, int]:
    """Four stages, the first block of each projects."""
    return {"identity": blocks - 4, "projection": 4, "gate": gates}


OUT = "out += identity"
TABLE: tuple[Row, ...] = (
    # ---- torchvision, classification
    Row(
        "torchvision/resnet18",
        {"identity": 5, "projection": 3},
        "8 basic blocks; stages 2 to 4 open with stride 2 and a 1x1 downsample; layer1 keeps 64",
        (
            (3, "projection", "layer[234].0", OUT, "layer[123].1.relu"),
            (4, "identity", "layer?.1", OUT, "layer?.0.relu"),
            (1, "identity", "layer1.0", OUT, "maxpool"),
        ),
    ),
    Row(
        "torchvision/resnet34",
        {"identity": 13, "projection": 3},
        "3+4+6+3 basic blocks, three of them strided",
        ((3, "projection", "layer[234].0", OUT, "layer?.?.relu"),),
    ),
    Row(
        "torchvision/resnet50",
        _resnet(16),
        "3+4+6+3 bottlenecks; layer1.0 projects too, 64 to 256 channels",
        (
            (1, "projection", "layer1.0", OUT, "maxpool"),
            (12, "identity", "layer?.[12345]", OUT, "layer?.?.relu"),
        ),
    ),
    Row("torchvision/resnet101", _resnet(33), "3+4+23+3 bottlenecks"),
    Row("torchvision/resnet152", _resnet(50), "3+8+36+3 bottlenecks"),
    Row("torchvision/resnext50_32x4d", _resnet(16), "resnet50 with groups"),
    Row("torchvision/wide_resnet50_2", _resnet(16), "resnet50, wider"),
    Row(
        "torchvision/densenet121",
        {"dense": 58},
        "6+12+24+16 layers: each but the first of a block concatenates the list, and each block "
        "does once more at its end",
        (
            (
                4,
                "dense",
                "features.denseblock?",
                "return torch.cat(features, 1)",
                "features.*pool*",
            ),
            (
                54,
                "dense",
                "features.denseblock?.denselayer*",
                "concated_features = torch.cat(inputs, 1)",
                "features.*pool*",
            ),
        ),
    ),
    Row("torchvision/densenet169", {"dense": 82}, "6+12+32+32 layers"),
    Row("torchvision/densenet201", {"dense": 98}, "6+12+48+32 layers"),
    Row("torchvision/densenet161", {"dense": 78}, "6+12+36+24 layers"),
    Row(
        "torchvision/mobilenet_v2",
        {"identity": 10},
        "repeats 1,2,3,4,3,3,1: each but the first of a stage keeps stride and width",
        ((10, "identity", "features.*", "return x + self.conv(x)", "features.*"),),
    ),
    Row(
        "torchvision/mobilenet_v3_large",
        {"identity": 10, "gate": 8},
        "stride 1 at equal width: 16, 24, 40 twice, 80 three times, 112, 160 twice; "
        "squeeze-excitation at 40 (3), 112 (2), 160 (3)",
        ((10, "identity", "features.*", "result += input", "features.*"),),
    ),
    Row(
        "torchvision/mobilenet_v3_small",
        {"identity": 6, "gate": 9},
        "equal width at stride 1: 24, 40 twice, 48, 96 twice; squeeze-excitation in 9 of 11",
    ),
    Row(
        "torchvision/efficientnet_b0",
        {"identity": 9, "gate": 16},
        "16 MBConv in 7 stages; the first of a stage changes width or stride",
        (
            (9, "identity", "features.?.?", "result += input", "features.*"),
            (16, "gate", "features.?.?.block.[12]", "return scale * input", "features.*"),
        ),
    ),
    Row("torchvision/efficientnet_b1", {"identity": 16, "gate": 23}, "2,3,3,4,4,5,2 MBConv"),
    Row(
        "torchvision/efficientnet_v2_s",
        {"identity": 35, "gate": 30},
        "fused 2,4,4 (the first stage keeps 24) and MBConv 6,9,15; only MBConv squeeze",
    ),
    Row(
        "torchvision/convnext_tiny",
        {"identity": 18},
        "3+3+9+3 blocks; layer scale multiplies the branch",
        ((18, "identity", "features.?.?", "result += input", "*"),),
    ),
    Row(
        "torchvision/swin_t",
        {"identity": 24},
        "2+2+6+2 blocks of two sums; patch merging concatenates positions, no skip",
        (
            (12, "identity", "features.?.?", "x = x + self.stochastic_depth(self.attn(*", "*"),
            (12, "identity", "features.?.?", "x = x + self.stochastic_depth(self.mlp(*", "*"),
        ),
    ),
    Row("torchvision/swin_v2_t", {"identity": 24}, "as swin_t, norms after the branches"),
    Row("torchvision/vit_b_16", {"identity": 24}, "12 encoder blocks of two sums"),
    Row(
        "torchvision/maxvit_t",
        {"identity": 51, "projection": 4, "gate": 11},
        "2+2+5+2 layers: an MBConv (squeeze-excitation; the first of a stage pools and projects "
        "its shortcut), window and grid attention of two sums each: 7 + 4 * 11 identities",
    ),
    Row("torchvision/regnet_x_400mf", {"identity": 18, "projection": 4}, "22 blocks, 4 stages"),
    Row(
        "torchvision/regnet_y_400mf",
        {"identity": 12, "projection": 4, "gate": 16},
        "16 blocks with squeeze-excitation, 4 stages",
        (
            (4, "projection", "trunk_output.block?.block?-0", "x = self.proj(x) + self.f(x)", "*"),
            (12, "identity", "trunk_output.block?.block?-*", "x = x + self.f(x)", "*"),
        ),
    ),
    Row("torchvision/regnet_y_800mf", {"identity": 10, "projection": 4, "gate": 14}, "14 blocks"),
    Row(
        "torchvision/shufflenet_v2_x1_0",
        {"split-concat": 13},
        "4+8+4 units; the 13 of stride 1 pass half of the channels on untouched. The three of "
        "stride 2 run depthwise and pointwise convolutions on both sides: parallel branches",
        ((13, "split-concat", "stage?.*", "out = torch.cat((x1, self.branch2(x2)), dim=1)", "*"),),
    ),
    Row("torchvision/mnasnet1_0", {"identity": 10}, "repeats 3,3,3,2,4,1, each but the first"),
    Row("torchvision/googlenet", {}, "inception: four parallel branches, each with a convolution"),
    Row("torchvision/inception_v3", {}, "parallel branches, also where a bare pooling is one"),
    Row("torchvision/vgg11", {}, "a chain"),
    Row("torchvision/vgg16_bn", {}, "a chain"),
    Row("torchvision/alexnet", {}, "a chain"),
    Row("torchvision/squeezenet1_0", {}, "fire: 1x1 beside 3x3, parallel branches"),
    # ---- torchvision, segmentation and video
    Row("torchvision/fcn_resnet50", _resnet(16), "the head is a chain"),
    Row("torchvision/deeplabv3_resnet50", _resnet(16), "ASPP is parallel branches"),
    Row(
        "torchvision/deeplabv3_mobilenet_v3_large",
        {"identity": 10, "gate": 8},
        "the backbone's; the head adds none",
    ),
    Row(
        "torchvision/lraspp_mobilenet_v3_large",
        {"identity": 10, "gate": 9, "long": 1},
        "the backbone's; the head scales by pooled sigmoids and adds the low-level classifier",
        (
            (1, "gate", "classifier", "x = x * s", "*"),
            (
                1,
                "long",
                "classifier",
                "return self.low_classifier(low) + self.high_classifier(x)",
                "*",
            ),
        ),
    ),
    Row("torchvision/r3d_18", {"identity": 5, "projection": 3}, "resnet18 in 3-D"),
    Row("torchvision/mc3_18", {"identity": 5, "projection": 3}, "resnet18, mixed 3-D and 2-D"),
    Row("torchvision/r2plus1d_18", {"identity": 5, "projection": 3}, "resnet18, factorised"),
    Row("torchvision/s3d", {}, "inception in 3-D: parallel branches"),
    Row(
        "torchvision/mvit_v1_b",
        {"identity": 26, "projection": 6},
        "16 blocks of two sums; blocks 1, 3, 14 pool the first shortcut, 0, 2, 13 project the "
        "second",
    ),
    Row(
        "torchvision/mvit_v2_s",
        {"identity": 45, "projection": 3},
        "16 blocks of two sums and the pooled query added to its attention; blocks 1, 3, 14 "
        "project and pool the first shortcut; relative positions are added to logits, no skip",
        ((16, "identity", "blocks.*.attn", "x[[]:, :, 1:, :] += shortcut[[]:, :, 1:, :]", "*"),),
    ),
    Row("torchvision/swin3d_t", {"identity": 24}, "2+2+6+2 blocks of two sums"),
    # ---- timm
    Row("timm/resnet50d", _resnet(16), "pooled 1x1 projections"),
    Row("timm/seresnet50", _resnet(16, 16), "squeeze-excitation in every bottleneck"),
    Row("timm/ecaresnet26t", _resnet(8, 8), "2+2+2+2 bottlenecks with channel attention"),
    Row("timm/resnetv2_50", _resnet(16), "pre-activation; projections start after norm and ReLU"),
    Row(
        "timm/repvgg_a0",
        {"identity": 17},
        "2+4+14+1 blocks; all but the strided first of a stage add a normalised identity; the sum "
        "of 3x3 and 1x1 is parallel branches",
        ((17, "identity", "stages.*", "x += identity", "*"),),
    ),
    Row(
        "timm/mobileone_s1",
        {"identity": 34},
        "2+8+10+1 pairs of depthwise and pointwise blocks; the first pair of a stage changes "
        "stride and width, 2 * (1 + 7 + 9) blocks keep both",
        ((34, "identity", "stages.*", "out += identity_out", "*"),),
    ),
    Row(
        "timm/rexnet_100",
        {"identity": 11, "gate": 13},
        "11 of 16 blocks have stride 1 and do not narrow: the input is added to the first "
        "channels; the others are put back beside them, no skip of their own; 13 squeeze",
        ((11, "identity", "features.*", "*+ shortcut, x[[]:, self.in_channels:]]*", "*"),),
    ),
    Row(
        "timm/ghostnet_100",
        {"identity": 11, "projection": 5, "gate": 7, "concat": 32},
        "16 bottlenecks of two ghost modules, each putting features beside cheap copies of "
        "themselves; shortcuts project (depthwise, pointwise) where width or stride changes",
        ((32, "concat", "blocks.*.ghost?", "out = torch.cat([[]x1, x2], dim=1)", "*"),),
    ),
    Row(
        "timm/hrnet_w18",
        {"identity": 107, "projection": 5},
        "3 of 4 bottlenecks, 8 + 48 + 48 basic blocks; layer1.0 and four incre modules project; "
        "fusing resolutions sums parallel branches of four blocks each",
    ),
    Row(
        "timm/dla34",
        {"identity": 8, "projection": 4, "concat": 6},
        "10 blocks beside 6 roots: the four downsampling trees project their pooled input; every "
        "root concatenates its second child with the first that it came from",
        ((6, "concat", "level*.root", "x = self.conv(torch.cat(x_children, 1))", "*"),),
    ),
    Row(
        "timm/dpn68",
        {"identity": 18, "projection": 4, "dense": 22},
        "3+4+12+3 dual path blocks: a sum and a growing concatenation each; the first of a stage "
        "projects both paths",
    ),
    Row(
        "timm/cspresnet50",
        {"identity": 13, "split-concat": 4},
        "3+3+5+2 bottlenecks inside four cross-stage splits",
        ((4, "split-concat", "stages.?", "*torch.cat([[]xs, xb], dim=1)*", "*"),),
    ),
    Row("timm/cspdarknet53", {"identity": 23, "split-concat": 5}, "1+2+8+8+4 blocks, five stages"),
    Row("timm/darknet53", {"identity": 23}, "1+2+8+8+4 blocks"),
    Row("timm/vovnet39a", {"concat": 6}, "1+1+2+2 one-shot aggregations"),
    Row(
        "timm/ese_vovnet39b",
        {"concat": 6, "identity": 2, "gate": 4},
        "as vovnet39a; blocks after the first of a stage add their input, the last of a stage "
        "squeezes",
    ),
    Row("timm/selecsls42", {"concat": 6}, "six blocks, each concatenates its partial results"),
    Row(
        "timm/res2net50_26w_4s",
        {"identity": 12, "projection": 4, "split-concat": 12, "pool-concat": 4},
        "resnet50's sums; in the 12 blocks of equal stride the last quarter of the channels goes "
        "past the convolutions, in the other 4 it is pooled; the hierarchical sums join different "
        "channels: nothing goes both ways",
    ),
    Row("timm/legacy_xception", {"identity": 8, "projection": 4}, "12 blocks, 1-3 and 12 project"),
    Row(
        "timm/inception_resnet_v2",
        {"identity": 40},
        "10 + 20 + 10 blocks; their inception branches are parallel",
        ((40, "identity", "*", "out = out * self.scale + x", "*"),),
    ),
    Row("timm/inception_v4", {}, "parallel branches, also one convolution beside a pooling"),
    Row("timm/resnest50d", _resnet(16, 16), "split attention is a softmax over the splits"),
    Row(
        "timm/skresnet18",
        {"identity": 5, "projection": 3, "gate": 8},
        "selective kernels: a softmax over two parallel convolutions",
    ),
    Row(
        "timm/levit_128s",
        {"identity": 20},
        "2+3+4 blocks of two sums and two downsamplings with one",
    ),
    Row(
        "timm/edgenext_xx_small",
        {"identity": 15, "split-concat": 3},
        "9 convolution blocks; 3 split-transpose blocks with two sums and one channel split",
    ),
    Row(
        "timm/efficientformer_l1",
        {"identity": 30},
        "3+2+6+4 blocks of two sums; `pool(x) - x` only takes the identity out of the pooling",
    ),
    Row("timm/nfnet_f0", {"identity": 8, "projection": 4, "gate": 12}, "1+2+6+3 blocks"),
    Row("timm/eca_nfnet_l0", {"identity": 8, "projection": 4, "gate": 12}, "1+2+6+3 blocks"),
    Row("timm/poolformer_s12", {"identity": 24}, "2+2+6+2 blocks of two sums"),
    Row("timm/convmixer_768_32", {"identity": 32}, "32 residual depthwise convolutions"),
    Row("timm/mixer_b16_224", {"identity": 24}, "12 blocks of two sums"),
    Row(
        "timm/tresnet_m",
        {"identity": 18, "projection": 3, "gate": 18},
        "3+4+11+3 blocks; layer1 keeps 64 channels; layer4 does not squeeze",
    ),
    Row(
        "timm/botnet26t_256",
        _resnet(8),
        "2+2+2+2 blocks; the logits of relative positions are added before a softmax, no skip",
    ),
    Row("timm/halonet26t", _resnet(8), "as botnet26t, local attention"),
    Row(
        "timm/volo_d1_224",
        {"identity": 40},
        "18 blocks of two sums and two class blocks that add to the class token",
    ),
    Row(
        "timm/cait_xxs24_224",
        {"identity": 51},
        "24 blocks of two sums, two class blocks of two; the first class sum starts from the class "
        "token alone, which does not depend on the input",
    ),
    Row(
        "timm/coatnet_pico_rw_224",
        {"identity": 15, "projection": 4, "gate": 5},
        "2+3 MBConv with squeeze-excitation, 5+2 transformer blocks of two sums; the first of a "
        "stage pools its shortcut",
    ),
    Row(
        "timm/xcit_nano_12_p16_224", {"identity": 40}, "12 blocks of three, two class blocks of two"
    ),
    # ---- segmentation_models_pytorch on resnet18: 5 identities and 3 projections of the encoder
    Row(
        "smp/Unet",
        {"identity": 5, "projection": 3, "long": 4},
        "four of five decoder blocks take an encoder feature",
        (
            (
                4,
                "long",
                "decoder.blocks.?",
                "feature_map = torch.cat([[]feature_map, skip_connection], dim=1)",
                "encoder.*relu",
            ),
        ),
    ),
    Row(
        "smp/UnetPlusPlus",
        {"identity": 5, "projection": 3, "long": 10},
        "4+3+2+1 decoder nodes; the list of equal scale is part of the node's concatenation",
    ),
    Row(
        "smp/FPN",
        {"identity": 5, "projection": 3, "long": 3},
        "three lateral 1x1 sums; the stacked heads are parallel branches",
        ((3, "long", "decoder.p[234]", "x = x + skip", "encoder.layer?.1.relu"),),
    ),
    Row(
        "smp/Linknet",
        {"identity": 5, "projection": 3, "long": 4},
        "four decoder blocks add an encoder feature",
        ((4, "long", "decoder.blocks.?", "x = x + skip", "encoder.*relu"),),
    ),
    Row(
        "smp/MAnet",
        {"identity": 6, "projection": 3, "gate": 4, "long": 4},
        "one sum around position attention; four decoder blocks scale by the summed gates of both "
        "inputs (one gate) and concatenate",
    ),
    Row(
        "smp/PSPNet",
        {"identity": 3, "projection": 1, "concat": 1},
        "the encoder stops after layer2; pyramid pooling concatenates its input with pooled maps",
        ((1, "concat", "decoder.psp", "x = torch.cat(xs, dim=1)", "encoder.layer2.1.relu"),),
    ),
    Row("smp/DeepLabV3", {"identity": 5, "projection": 3}, "ASPP is parallel branches"),
    Row(
        "smp/DeepLabV3Plus",
        {"identity": 5, "projection": 3, "long": 1},
        "the low-level feature through a 1x1 convolution",
    ),
    Row(
        "smp/PAN",
        {"identity": 5, "projection": 3, "gate": 3, "long": 5},
        "three attention upsamples: a gate and a lateral sum each; two sums in the attention's own "
        "small hourglass; the globally pooled branch is parallel",
    ),
    Row(
        "smp/UPerNet",
        {"identity": 5, "projection": 3, "concat": 1, "long": 3},
        "pyramid pooling and three laterals; the fusion of all levels is parallel branches",
    ),
    Row(
        "smp/Segformer",
        {"identity": 5, "projection": 3, "long": 1},
        "all levels, projected, in one concatenation",
    ),
    # ---- MONAI
    Row(
        "monai/UNet",
        {"identity": 4, "projection": 5, "long": 3, "concat": 1},
        "four down units and the bottom project (stride or width), four up units keep; four "
        "nested skip connections, the innermost around the bottom unit of stride 1",
        ((3, "long", "*", "return torch.cat([[]x, y], dim=*", "*"),),
    ),
    Row(
        "monai/UNet-plain",
        {"long": 1, "concat": 1},
        "no residual units; the inner skip is around the bottom layer of stride 1",
    ),
    Row("monai/BasicUNet", {"long": 4}, "four up-samplings concatenate"),
    Row("monai/BasicUNetPlusPlus", {"long": 10}, "4+3+2+1 nodes"),
    Row(
        "monai/AttentionUnet",
        {"gate": 3, "long": 3},
        "three levels: the encoder feature is scaled, then concatenated; the sum of the two "
        "queries only makes the gate",
    ),
    Row(
        "monai/UNETR",
        {"identity": 27, "projection": 5, "long": 4},
        "12 transformer blocks of two sums, residual blocks: 3 keep and 5 change width; four skips "
        "to the decoder, three of them from the transformer",
    ),
    Row(
        "monai/SwinUNETR",
        {"identity": 20, "projection": 6, "long": 5},
        "8 transformer blocks of two sums; residual blocks: 4 keep width, 6 change it",
    ),
    Row("monai/DynUNet", {"long": 3}, "three up blocks concatenate"),
    Row(
        "monai/DynUNet-residual",
        {"projection": 4, "long": 3},
        "three encoders and the bottleneck change width or stride; the decoders are plain blocks",
    ),
    Row(
        "monai/SegResNet",
        {"identity": 12, "long": 3},
        "1+2+2+4 and 1+1+1 blocks; the decoder adds the encoder's feature",
    ),
    Row(
        "monai/VNet",
        {"identity": 9, "long": 4},
        "the input repeated over channels, four downs, four ups around the concatenation",
    ),
    Row("monai/DenseNet121", {"dense": 58}, "6+12+24+16 layers, each concatenates its own input"),
    Row("monai/SEResNet50", _resnet(16, 16), "3+4+6+3 bottlenecks"),
    Row(
        "monai/HighResNet",
        {"identity": 7, "projection": 2},
        "nine blocks, two widen by padding the shortcut with zero channels",
    ),
    Row("monai/ViT", {"identity": 24}, "12 blocks of two sums"),
    Row("monai/AutoEncoder", {}, "a chain"),
)

QUICK = (
    "torchvision/resnet18",
    "torchvision/densenet121",
    "torchvision/mobilenet_v3_small",
    "torchvision/shufflenet_v2_x1_0",
    "torchvision/squeezenet1_0",
    "torchvision/lraspp_mobilenet_v3_large",
    "timm/rexnet_100",
    "timm/edgenext_xx_small",
    "timm/dpn68",
    "timm/levit_128s",
    "smp/UnetPlusPlus",
    "smp/FPN",
    "smp/PAN",
    "monai/UNet",
    "monai/AttentionUnet",
)
