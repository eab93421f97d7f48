"""Loading images: what arrives in the tensors, and every way a directory can be wrong."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from torchskip import data
from torchskip.errors import DataError


def picture(seed: int, shape: tuple[int, ...] = (8, 10, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes, three images each to train and one each to test, all distinct."""
    for number, name in enumerate(("ant", "bee")):
        for index in range(3):
            save(tmp_path / "train" / name / f"{index}.png", picture(10 * number + index))
        save(tmp_path / "test" / name / "0.png", picture(10 * number + 9))
    return tmp_path


def refusal(root: Path, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        data.load(root, **options)  # type: ignore[arg-type]
    return str(caught.value).replace(str(root), "ROOT")


def test_every_pixel_and_label_arrives_in_alphabetical_order(root: Path) -> None:
    images = data.load(root)
    expected = [picture(10 * number + index) for number in (0, 1) for index in range(3)]
    assert images.train.dtype == torch.uint8
    assert torch.equal(images.train, torch.from_numpy(np.stack(expected)).permute(0, 3, 1, 2))
    assert images.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert torch.equal(images.test[1], torch.from_numpy(picture(19)).permute(2, 0, 1))
    assert images.test_labels.tolist() == [0, 1]
    assert (images.classes, images.shape, images.skipped) == (("ant", "bee"), (3, 8, 10), ())
    assert images.source == str(root)


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_other_names_of_the_held_out_split(root: Path, name: str) -> None:
    (root / "test").rename(root / name)
    assert len(data.load(root).test) == 2


def test_an_unlabelled_test_heap_gives_way_to_val(root: Path) -> None:
    (root / "test").rename(root / "val")
    save(root / "test" / "1.png", picture(1))
    assert data.load(root).test_labels.tolist() == [0, 1]


def test_other_files_and_nested_directories(root: Path) -> None:
    (root / "train/ant/notes.txt").write_text("no image")
    (root / "train/ant/.hidden.png").write_bytes(b"")
    save(root / "train/ant/more/3.PNG", picture(3))
    assert data.load(root).train_labels.tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_grey_stays_grey_and_joins_colour_as_three_equal_channels(root: Path) -> None:
    for path in root.rglob("*.png"):
        save(path, picture(5, (8, 10)))
    assert data.load(root).shape == (1, 8, 10)
    save(root / "test/ant/0.png", picture(6))
    images = data.load(root)
    assert images.shape == (3, 8, 10)
    assert torch.equal(images.train[0], torch.from_numpy(picture(5, (8, 10))).expand(3, 8, 10))


def test_modes_that_need_a_conversion(root: Path) -> None:
    rgba = picture(1, (8, 10, 4))
    save(root / "train/ant/0.png", rgba)
    Image.fromarray(picture(2)).quantize(16).save(root / "train/ant/1.png")
    sixteen = np.arange(80, dtype=np.uint16).reshape(8, 10) * 800
    save(root / "train/ant/2.png", sixteen)
    images = data.load(root)
    assert torch.equal(images.train[0], torch.from_numpy(rgba[:, :, :3]).permute(2, 0, 1))
    palette = np.array(Image.open(root / "train/ant/1.png").convert("RGB"))
    assert torch.equal(images.train[1], torch.from_numpy(palette).permute(2, 0, 1))
    assert torch.equal(images.train[2, 0], torch.from_numpy((sixteen // 256).astype(np.uint8)))


def test_a_photograph_stands_upright(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise to show
    sideways = np.rot90(picture(0), 1).copy()
    Image.fromarray(sideways).save(root / "train/ant/0.png", exif=exif)
    assert torch.equal(data.load(root).train[0], torch.from_numpy(picture(0)).permute(2, 0, 1))


def test_size_brings_all_to_one_size(root: Path) -> None:
    save(root / "train/ant/0.png", np.full((40, 20, 3), 200, np.uint8))
    images = data.load(root, size=(6, 5))
    assert images.shape == (3, 6, 5)
    assert images.train[0].unique().tolist() == [200]
    assert data.load(root, size=4).shape == (3, 4, 4)


def test_only_the_first_images_of_each_class(root: Path) -> None:
    few, everything = data.load(root, train_per_class=2), data.load(root)
    assert torch.equal(few.train, everything.train[[0, 1, 3, 4]])
    assert few.train_labels.tolist() == [0, 0, 1, 1]
    assert len(few.test) == 2


def test_images_of_several_sizes_are_refused_with_examples(root: Path) -> None:
    save(root / "test/bee/0.png", picture(0, (4, 4, 3)))
    assert refusal(root) == (
        "the images are of 2 sizes, a batch needs one\n"
        "  8x10: 7 images, such as ROOT/train/ant/0.png\n"
        "  4x4: 1 images, such as ROOT/test/bee/0.png\n"
        "  mend: size=(8, 10) (--size 8 10) brings all of them to the most common size"
    )


def corrupt(root: Path) -> None:
    whole = (root / "train/bee/1.png").read_bytes()
    (root / "train/bee/1.png").write_bytes(whole[: len(whole) // 2])
    (root / "train/bee/2.png").write_bytes(b"not a picture")


def test_corrupt_images_are_refused_by_name(root: Path) -> None:
    corrupt(root)
    message = refusal(root)
    assert message.startswith("2 of 8 images cannot be read\n  ROOT/train/bee/1.png: ")
    assert message.endswith(
        "\n  ROOT/train/bee/2.png: not an image of a known format\n"
        "  mend: replace or delete them, or leave them out with on_error='skip' "
        "(--on-error skip)"
    )


def test_corrupt_images_are_skipped_and_named(root: Path) -> None:
    corrupt(root)
    images = data.load(root, on_error="skip")
    assert images.skipped == (str(root / "train/bee/1.png"), str(root / "train/bee/2.png"))
    assert images.train_labels.tolist() == [0, 0, 0, 1]
    assert torch.equal(images.train[3], torch.from_numpy(picture(10)).permute(2, 0, 1))


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "tiff"])
def test_no_truncation_of_any_format_gets_through_unnoticed(root: Path, suffix: str) -> None:
    whole = io.BytesIO()
    Image.fromarray(picture(0, (64, 64, 3))).save(whole, {"jpg": "jpeg"}.get(suffix, suffix))
    victim = root / f"train/ant/0.{suffix}"
    (root / "train/ant/0.png").unlink()
    for keep in (0, 1, 8, 40, len(whole.getvalue()) // 2):
        victim.write_bytes(whole.getvalue()[:keep])
        assert data.load(root, on_error="skip").skipped == (str(victim),)


def test_a_class_without_one_readable_image_is_refused_even_when_skipping(root: Path) -> None:
    (root / "test/bee/0.png").write_bytes(b"")
    assert refusal(root, on_error="skip") == (
        "no image of class 'bee' in ROOT/test can be read\n"
        "  ROOT/test/bee/0.png: not an image of a known format\n"
        "  mend: replace these images"
    )


def test_missing_directory(root: Path) -> None:
    assert refusal(root / "nowhere") == (
        f"'{root}/nowhere' does not exist\n"
        "  mend: a directory with train/<class>/* and test/<class>/*, or 'fashion-mnist' for the "
        "embedded images"
    ).replace(f"{root}/nowhere", "ROOT")
    archive = root / "images.tar"
    archive.write_bytes(b"")
    assert refusal(archive).startswith("'ROOT' is a file, not a directory\n")


def test_missing_split(root: Path) -> None:
    (root / "test").rename(root / "exam")
    assert refusal(root) == (
        "'ROOT' holds no images under test/<class>/* (or val, valid, validation)\n"
        "  found  exam/, train/\n"
        "  mend: sort the images into train/<class>/ and test/<class>/, one directory a class"
    )
    (root / "train").rename(root / "lessons")
    assert refusal(root).splitlines()[0] == "'ROOT' holds no images under train/<class>/*"


def test_empty_class_directory(root: Path) -> None:
    (root / "train/cat").mkdir()
    (root / "train/cat/list.csv").write_text("")
    assert refusal(root) == (
        "ROOT/train/cat holds no image\n"
        "  found  list.csv\n"
        "  mend: put images there, or remove the directory"
    )


def test_a_class_that_was_never_trained(root: Path) -> None:
    (root / "test/bee").rename(root / "test/bees")
    assert refusal(root) == (
        "ROOT/test has classes that ROOT/train has not: bees\n"
        "  trained  ant, bee\n"
        "  mend: give the same class the same name in both"
    )


def test_one_class_cannot_be_told_from_another(root: Path) -> None:
    shutil.rmtree(root / "train/bee")
    assert refusal(root) == (
        "ROOT/train has one class, ant, and nothing to tell it from\n"
        "  mend: train/<class>/ for two classes or more"
    )


def test_uneven_and_untested_classes(root: Path) -> None:
    even = data.load(root)
    assert (even.commonest, even.oddities()) == (0.5, ())
    shutil.rmtree(root / "test/bee")
    (root / "train/bee/1.png").write_bytes(b"")
    odd = data.load(root, on_error="skip")
    assert odd.commonest == 1.0
    assert odd.oddities() == (
        f"Left out as unreadable: 1 images ({root}/train/bee/1.png).",
        "There are no test images of bee.",
        "The classes are uneven: always answering the commonest one would be right on 100.0 % of "
        "the test images.",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "cannot resize images to 0x0\n  mend: 1x1 or more"),
        ({"train_per_class": 0}, "cannot take 0 images of each class\n  mend: 1 or more"),
        ({"on_error": "hide"}, "on_error='hide' is unknown\n  mend: 'refuse' or 'skip'"),
    ],
)
def test_bad_arguments(root: Path, options: dict[str, object], message: str) -> None:
    assert refusal(root, **options) == message


def test_loading_writes_nothing_and_is_the_same_twice(root: Path) -> None:
    before = sorted(root.rglob("*"))
    first, second = data.load(root), data.load(root)
    assert sorted(root.rglob("*")) == before
    assert torch.equal(first.train, second.train)


def test_the_progress_bar_goes_to_the_given_console_only(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    data.load(root, console=console)
    assert "reading images" in console.file.getvalue()  # type: ignore[attr-defined]
    data.load(root)
    assert capsys.readouterr() == ("", "")
