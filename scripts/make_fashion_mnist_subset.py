"""Make the embedded subset of Fashion-MNIST: the first images of every class, as two PNG mosaics.

    python scripts/make_fashion_mnist_subset.py [SOURCE] [--out DIR]

SOURCE holds the four files of Fashion-MNIST (https://github.com/zalandoresearch/fashion-mnist,
MIT licence; Debian's package dataset-fashion-mnist puts them in the default place). Written are
`train.png`, `test.png` and `subset.json`. The mosaics are read class by class, row by row, so a
tile's place is its label. Pixels depend on nothing but SOURCE; the bytes of the PNG files also on
the zlib inside Pillow (`subset.json` names the Pillow that made the committed ones).
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

SOURCE = Path("/usr/share/datasets/fashion-mnist")
OUT = Path(__file__).parents[1] / "src/torchskip/data/fashion_mnist"
SPLITS = {"train": ("train", 600), "test": ("t10k", 100)}  # our name: (their name, per class)
COLUMNS = 100
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def read_idx(path: Path) -> np.ndarray:
    """Read one IDX file of unsigned bytes: magic (0, 0, 8, rank), big-endian sizes, the data."""
    data = gzip.decompress(path.read_bytes())
    if data[:3] != b"\x00\x00\x08":
        raise SystemExit(f"{path} is no IDX file of unsigned bytes: it begins with {data[:4]!r}")
    rank = data[3]
    sizes = np.frombuffer(data, ">u4", count=rank, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(sizes)


def mosaic(images: np.ndarray) -> np.ndarray:
    """Lay (N, H, W) tiles out row by row, `COLUMNS` in a row."""
    count, height, width = images.shape
    rows = count // COLUMNS
    tiles = images.reshape(rows, COLUMNS, height, width)
    return tiles.transpose(0, 2, 1, 3).reshape(rows * height, COLUMNS * width)


def subset(source: Path) -> dict[str, bytes]:
    """Return what the files will hold, by file name."""
    files: dict[str, bytes] = {}
    facts: dict[str, object] = {
        "name": "fashion-mnist",
        "classes": CLASSES,
        "tile": [28, 28],
        "columns": COLUMNS,
        "per_class": {split: count for split, (_, count) in SPLITS.items()},
        "pillow": PIL.__version__,
    }
    sources, pixels = {}, {}
    for split, (prefix, per_class) in SPLITS.items():
        paths = [source / f"{prefix}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1")]
        images, labels = map(read_idx, paths)
        chosen = [np.flatnonzero(labels == label)[:per_class] for label in range(len(CLASSES))]
        picture = mosaic(images[np.concatenate(chosen)])
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG", optimize=True)
        files[f"{split}.png"] = buffer.getvalue()
        pixels[split] = hashlib.sha256(picture.tobytes()).hexdigest()
        sources |= {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    facts |= {"sha256_of_pixels": pixels, "sha256_of_sources": sources}
    files["subset.json"] = (json.dumps(facts, indent=2) + "\n").encode()
    return files


def main() -> None:
    """Write the subset, all files or none."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("source", type=Path, nargs="?", default=SOURCE)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    files = subset(arguments.source)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (arguments.out / name).write_bytes(data)
        print(f"{arguments.out / name}  {len(data):,} bytes")


if __name__ == "__main__":
    main()
