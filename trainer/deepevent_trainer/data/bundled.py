"""The data that needs no download: 100 faces and the face-free photographs that other packages carry.

scikit-image's `lfw_subset` has 100 grey faces of 25x25 pixels (of Labeled Faces in the Wild) and 100 pieces
of background. A detector learns from photographs, so the faces are set into face-free photographs of
scikit-image and scikit-learn, with soft edges; pieces of background are set in the same way, so that soft
edges alone tell nothing. Persons and backgrounds of validation scenes are never in a training scene. Two real
photographs, of Eileen Collins (scikit-image) and Grace Hopper (matplotlib), have boxes made by hand and serve
validation only.

This is a demonstration: 100 faces make no detector for real use.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deepevent.errors import SettingsError
from deepevent_trainer.data.photographs import Photograph

# Looked at one by one: no faces in them. Left out: camera (a man), coins (portraits), astronaut (below).
_TRAINING_BACKGROUNDS = (
    "skimage/data/brick.png",
    "skimage/data/chelsea.png",
    "skimage/data/coffee.png",
    "skimage/data/grass.png",
    "skimage/data/gravel.png",
    "skimage/data/hubble_deep_field.jpg",
    "skimage/data/ihc.png",
    "skimage/data/motorcycle_left.png",
    "skimage/data/retina.jpg",
    "sklearn/datasets/images/flower.jpg",
)
_VALIDATION_BACKGROUNDS = (
    "skimage/data/clock_motion.png",
    "skimage/data/moon.png",
    "skimage/data/rocket.jpg",
    "skimage/data/text.png",
    "sklearn/datasets/images/china.jpg",
)
_FACES = "skimage/data/lfw_subset.npy"
# By hand, in the style of the other boxes: squares of 2.2 eye distances, eyes at 0.36 of the height.
_PORTRAITS = (
    ("eileen_collins", "skimage/data/astronaut.png", (173.0, 64.0, 276.0, 167.0)),
    ("grace_hopper", "matplotlib/mpl-data/sample_data/grace_hopper.jpg", (182.0, 126.0, 354.0, 298.0)),
)
N_FACES = 100
N_TRAINING_FACES = 70
_TILE_PX = 25
# Where the face lies in its 25x25 tile: from the mean of the 100 (eyes 9 px apart, at 6 and 15, row 8.4).
_FACE_IN_TILE = (1.0, 1.5, 20.5, 21.0)

_SCENE_SIZE = (320, 240)
_FACES_A_SCENE = 8
_SCENES_A_FACE = 8
_SMALLEST_FACE_PX, _LARGEST_FACE_PX = 20.0, 64.0
_SCENE_SEED = 2015


def bundled_photographs() -> list[Photograph]:
    """Return training scenes, validation scenes and the two portraits; the same ones at every call.

    Raises:
        SettingsError: if scikit-image, scikit-learn or matplotlib are not installed with their pictures.
    """
    tiles = _tiles()
    faces, pieces = tiles[:N_FACES], tiles[N_FACES:]
    order = np.random.default_rng(_SCENE_SEED).permutation(N_FACES)
    training, validation = order[:N_TRAINING_FACES], order[N_TRAINING_FACES:]
    photographs = [
        *_scenes("train", faces[training], pieces[training], [_grey(name) for name in _TRAINING_BACKGROUNDS]),
        *_scenes(
            "val", faces[validation], pieces[validation], [_grey(name) for name in _VALIDATION_BACKGROUNDS]
        ),
    ]
    for name, path, face in _PORTRAITS:
        boxes = np.array([face], dtype=np.float32)
        photographs.append(Photograph(name, _carried(path), boxes, group=name, split="val"))
    return photographs


def _scenes(
    split: str, faces: NDArray[np.uint8], pieces: NDArray[np.uint8], backgrounds: list[NDArray[np.uint8]]
) -> list[Photograph]:
    """Return scenes in which every face of `faces` stands `_SCENES_A_FACE` times."""
    random = np.random.default_rng([_SCENE_SEED, len(faces)])
    queue = np.concatenate([random.permutation(len(faces)) for _ in range(_SCENES_A_FACE)])
    scenes = []
    for index, start in enumerate(range(0, len(queue), _FACES_A_SCENE)):
        chosen = faces[queue[start : start + _FACES_A_SCENE]]
        decoys = pieces[random.integers(len(pieces), size=_FACES_A_SCENE // 2)]
        background = backgrounds[index % len(backgrounds)]
        name = f"{split}_scene_{index:03d}"
        scenes.append(_scene(name, split, chosen, decoys, background, random))
    return scenes


def _scene(
    name: str,
    split: str,
    faces: NDArray[np.uint8],
    decoys: NDArray[np.uint8],
    background: NDArray[np.uint8],
    random: np.random.Generator,
) -> Photograph:
    """Return a part of `background` with `faces` and `decoys` set in where nothing else stands."""
    canvas = _part(background, random).astype(np.float32)
    taken: list[tuple[float, float, float, float]] = []
    boxes: list[list[float]] = []
    for tile, is_face in [*((face, True) for face in faces), *((decoy, False) for decoy in decoys)]:
        side = float(np.exp(random.uniform(np.log(_SMALLEST_FACE_PX), np.log(_LARGEST_FACE_PX))))
        scale = side / (_FACE_IN_TILE[2] - _FACE_IN_TILE[0])
        extent = round(_TILE_PX * scale)
        place = _free_place(taken, extent, random)
        if place is None:
            continue
        x, y = place
        taken.append((x, y, x + extent, y + extent))
        mirrored = bool(random.random() < 0.5)
        _set_in(canvas, tile[:, ::-1] if mirrored else tile, x, y, extent)
        if is_face:
            left, top, right, bottom = (edge * extent / _TILE_PX for edge in _FACE_IN_TILE)
            if mirrored:
                left, right = extent - right, extent - left
            boxes.append([x + left, y + top, x + right, y + bottom])
    grey = np.clip(canvas + 0.5, 0, 255).astype(np.uint8)
    pixels = np.repeat(grey[..., None], 3, axis=2)
    return Photograph(name, None, np.array(boxes, dtype=np.float32), group=name, pixels=pixels, split=split)


def _part(background: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return a random part of `background`, mirrored or not, as large as a scene."""
    width, height = _SCENE_SIZE
    whole = min(background.shape[1] / width, background.shape[0] / height)
    zoom = whole * random.uniform(0.6, 1.0)
    w, h = int(width * zoom), int(height * zoom)
    x, y = random.integers(background.shape[1] - w + 1), random.integers(background.shape[0] - h + 1)
    part = background[y : y + h, x : x + w]
    if random.random() < 0.5:
        part = part[:, ::-1]
    method = cv2.INTER_AREA if zoom > 1 else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(part), _SCENE_SIZE, interpolation=method).astype(
        np.uint8, copy=False
    )


def _free_place(
    taken: list[tuple[float, float, float, float]], extent: int, random: np.random.Generator
) -> tuple[int, int] | None:
    """Return a corner for a square of `extent` pixels clear of all `taken`, or None after some tries."""
    width, height = _SCENE_SIZE
    for _ in range(40):
        x, y = int(random.integers(width - extent + 1)), int(random.integers(height - extent + 1))
        if all(
            x >= right or y >= bottom or x + extent <= left or y + extent <= top
            for left, top, right, bottom in taken
        ):
            return x, y
    return None


def _set_in(canvas: NDArray[np.float32], tile: NDArray[np.uint8], x: int, y: int, extent: int) -> None:
    """Set `tile` into `canvas` at (x, y), `extent` pixels wide, fading out towards its edges."""
    resized = cv2.resize(np.ascontiguousarray(tile), (extent, extent), interpolation=cv2.INTER_CUBIC)
    at = (np.arange(extent) + 0.5) / extent * 2 - 1
    distance = (np.abs(at[:, None]) ** 4 + np.abs(at[None, :]) ** 4) ** 0.25
    alpha = np.clip((1.0 - distance) / 0.16, 0.0, 1.0).astype(np.float32)
    region = canvas[y : y + extent, x : x + extent]
    region += alpha * (resized.astype(np.float32) - region)


def _carried(path: str) -> Path:
    """Return the place of a picture that an installed package carries; `path` starts with the package."""
    package, _, rest = path.partition("/")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SettingsError(
            f"the bundled data needs {package}: install deepevent-monitor[train], or give --data DIR"
        )
    found = Path(next(iter(spec.submodule_search_locations))) / rest
    if not found.is_file():
        raise SettingsError(f"{package} is installed without {rest}: reinstall {package}, or give --data DIR")
    return found


def _tiles() -> NDArray[np.uint8]:
    """Return the 100 faces and 100 pieces of background, `(200, 25, 25)` uint8."""
    stored: NDArray[Any] = np.load(_carried(_FACES), allow_pickle=False)
    return np.asarray(stored * 255 + 0.5).astype(np.uint8)


def _grey(path: str) -> NDArray[np.uint8]:
    """Return a carried picture in grey: as the faces are grey, colour would tell them apart."""
    file = _carried(path)
    image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise SettingsError(f"cannot read {file} as an image: reinstall the package that carries it")
    return image.astype(np.uint8, copy=False)
