"""The embedded Fashion-MNIST subset: its pixels, its licence, its size, how it was made."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import PIL
import pytest
import torch

from torchskip import data

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts/make_fashion_mnist_subset.py"
HERE = ROOT / "src/torchskip/data/fashion_mnist"
FACTS = json.loads((HERE / "subset.json").read_text())
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def test_balanced_classes_and_shapes() -> None:
    images = data.load("fashion-mnist")
    assert images.train.shape == (6000, 1, 28, 28)
    assert images.test.shape == (1000, 1, 28, 28)
    assert images.train_labels.bincount().tolist() == [600] * 10
    assert images.test_labels.bincount().tolist() == [100] * 10
    assert images.train.dtype == images.test.dtype == torch.uint8
    assert images.classes[3] == "Dress"


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_tiles_hash_to_the_recorded_pixels(split: str) -> None:
    tiles = getattr(data.load("fashion-mnist"), split)[:, 0].numpy()
    rows = tiles.reshape(-1, 100, 28, 28).swapaxes(1, 2).reshape(-1, 2800)
    digest = hashlib.sha256(np.ascontiguousarray(rows).tobytes()).hexdigest()
    assert digest == FACTS["sha256_of_pixels"][split]


def test_few_of_each_class_and_another_size() -> None:
    every, few = data.load("fashion-mnist"), data.load("fashion-mnist", train_per_class=2)
    assert few.train_labels.tolist() == sorted([*range(10)] * 2)
    assert torch.equal(few.train, every.train.view(10, 600, 1, 28, 28)[:, :2].flatten(0, 1))
    small = data.load("fashion-mnist", size=14).train.float()
    means = torch.nn.functional.avg_pool2d(every.train.float(), 2)
    assert (small - means).abs().mean() < 6  # bicubic against box filter, of 255


def test_licence_notice_travels_with_the_images() -> None:
    licence = (HERE / "LICENSE").read_text()
    assert "The MIT License (MIT)" in licence
    assert "Zalando SE" in licence
    assert "The above copyright notice and this permission notice shall be included" in licence


def test_the_wheel_holds_the_images_in_at_most_four_megabytes(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {info.filename: info.compress_size for info in archive.infolist()}
    names = {name.rpartition("/")[2]: name for name in packed if "data/fashion_mnist/" in name}
    assert {"train.png", "test.png", "subset.json", "LICENSE"} <= names.keys()
    assert sum(packed[name] for name in names.values()) < 4e6


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs Debian's dataset-fashion-mnist")
def test_the_script_reproduces_the_committed_files(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, SCRIPT, DEBIAN, "--out", tmp_path],
        check=True,
        capture_output=True,
        timeout=120,
    )
    made = json.loads((tmp_path / "subset.json").read_text())
    assert made | {"pillow": ""} == FACTS | {"pillow": ""}
    if PIL.__version__ == FACTS["pillow"]:  # another zlib packs the same pixels differently
        for name in ("train.png", "test.png", "subset.json"):
            assert (tmp_path / name).read_bytes() == (HERE / name).read_bytes(), name
