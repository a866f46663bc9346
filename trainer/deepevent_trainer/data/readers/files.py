"""What all readers share about files: text, plain or gzipped, and images that may stand in several places.

Knows nothing of any annotation format.
"""

from __future__ import annotations

import fnmatch
import gzip
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from deepevent.errors import DataSetError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm")

# EXIF orientations that turn the picture by a quarter: OpenCV applies them when it reads, so sizes must
# follow.
_ORIENTATION_TAG = 0x0112
_QUARTER_TURNS = (5, 6, 7, 8)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file without their ends; a name on `.gz` is unpacked while reading.

    Raises:
        DataSetError: if the file cannot be read as UTF-8 text.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return raw.decode("utf-8-sig").splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataSetError(f"cannot read {path} as text: {error}") from error


def files_named(folder: Path, pattern: str) -> list[Path]:
    """Return all files below `folder` whose name fits the glob `pattern`, by path; links are followed."""
    found = [
        Path(place) / name
        for place, _, names in os.walk(folder, followlinks=True)
        for name in fnmatch.filter(names, pattern)
    ]
    return sorted(found)


def image_files(folder: Path) -> list[Path]:
    """Return all image files below `folder`, in the order of their paths."""
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
    )


def inside(root: Path, name: str) -> Path:
    """Return `root / name`, made sure to lie in `root`: annotation files are data and may say anything.

    Links that lie in the set are followed: whoever made them may read what they lead to.

    Raises:
        DataSetError: if `name` leads outside.
    """
    path = Path(os.path.normpath(root / name))
    if not path.is_relative_to(os.path.normpath(root)):
        raise DataSetError(f"the annotations of {root} name {name!r}, which lies outside of that folder")
    return path


def existing(candidates: Iterable[Path]) -> Path | None:
    """Return the first path that is a file, or None."""
    return next((path for path in candidates if path.is_file()), None)


def require_complete(missing: Sequence[str], n_listed: int, folder: Path, partial: bool) -> None:
    """Refuse a set of which images are missing, unless a part of it will do.

    Raises:
        DataSetError: if all are missing, or some and not `partial`.
    """
    if missing and (not partial or len(missing) == n_listed):
        raise DataSetError(
            f"{len(missing)} of the {n_listed} images listed in {folder} are missing, {missing[0]!r} first: "
            "complete the set, or read it as a partial one"
        )


def image_size(path: Path) -> tuple[int, int]:
    """Return `(width, height)` in pixels as OpenCV will read the image, from its header alone.

    Raises:
        DataSetError: if the file is not an image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION_TAG) in _QUARTER_TURNS
    except (OSError, UnidentifiedImageError) as error:
        raise DataSetError(f"cannot read the size of {path}: {error}") from error
    return (height, width) if turned else (width, height)
