"""Image files to arrays, by Pillow, in parallel threads (its decoders release the GIL)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from torchskip.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.console import Console

__all__ = ["Array", "decode_all", "fit", "suffixes"]

Array: TypeAlias = npt.NDArray[np.uint8]

_GREY = {"1", "L", "LA", "La"}
_GREY_16 = {"I;16", "I;16L", "I;16B", "I;16N"}
_CHUNK = 64


def decode_all(
    paths: Sequence[Path], size: tuple[int, int] | None, console: Console | None
) -> list[Array | str]:
    """Return `(H, W, C)` arrays in the order of `paths`; in an unreadable file's place, why."""
    from rich.progress import Progress

    suffixes()  # say that Pillow is missing once, not once a file
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    decoded: list[Array | str] = []
    with (
        ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool,
        Progress(console=console, disable=console is None, transient=True) as progress,
    ):
        bar = progress.add_task("reading images", total=len(paths))
        try:
            for part in pool.map(lambda chunk: [_decode(path, size) for path in chunk], chunks):
                decoded += part
                progress.advance(bar, len(part))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return decoded


def fit(image: Image, size: tuple[int, int] | None) -> Image:
    """Cut `image` centrally to the aspect ratio of `size` (H, W) and resample it to that size."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    if size is None or image.size == (size[1], size[0]):
        return image
    return ImageOps.fit(image, (size[1], size[0]), Pillow.Resampling.BICUBIC)


def suffixes() -> frozenset[str]:
    """Return the file name endings that Pillow can open: `.jpg`, `.png`, ..."""
    try:
        from PIL import Image as Pillow
    except ImportError as error:
        raise DataError(
            "reading images needs Pillow, which is not installed\n"
            '  mend: pip install "torchskip[train]"'
        ) from error
    readable = Pillow.registered_extensions().items()
    return frozenset(suffix for suffix, kind in readable if kind in Pillow.OPEN)


def _decode(path: Path, size: tuple[int, int] | None) -> Array | str:
    from PIL import Image as Pillow
    from PIL import ImageOps, UnidentifiedImageError

    try:
        with Pillow.open(path) as image:
            ImageOps.exif_transpose(image, in_place=True)
            array = np.array(fit(_eight_bit(image), size))
            return array if array.ndim == 3 else array[:, :, None]
    except UnidentifiedImageError:
        return "not an image of a known format"
    except MemoryError:
        raise
    except Exception as error:  # decoders raise whatever a broken file leads them to
        return f"{type(error).__name__}: {error}".partition("\n")[0]


def _eight_bit(image: Image) -> Image:
    """Convert to L or RGB, like torchvision's ImageFolder, but 16-bit greys keep their range."""
    from PIL import Image as Pillow

    if image.mode in _GREY_16:
        return Pillow.fromarray((np.array(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in {"I", "F"}:
        raise ValueError(f"mode {image.mode} has no fixed range of values; save it with 8 bits")
    mode = "L" if image.mode in _GREY else "RGB"
    return image if image.mode == mode else image.convert(mode)
