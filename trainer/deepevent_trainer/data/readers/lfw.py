"""Labeled Faces in the Wild, deep-funnelled: a folder of persons, each image with one face in its middle.

The set has no boxes. After deep funnelling the face stands at the same place of every 250 x 250 image, so
one centre box serves as annotation. Other persons may stand at the edges, unannotated: such an image gives
positives only, and its black, warped borders are no background either.

Source: Huang, Ramesh, Berg, Learned-Miller, LFW, UMass TR 07-49, 2007; Huang, Mattar, Lee, Learned-Miller,
Learning to Align from Scratch, NIPS 2012.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from deepevent.errors import DataSetError
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.readers.files import image_files

# Top-left (78, 70), 94 wide and 125 high in the 250 x 250 image: hair line to chin, ear to ear.
CENTRE_BOX = np.array([[78.0, 70.0, 172.0, 195.0]], dtype=np.float32)

_NUMBERED = re.compile(r"(?P<person>.+)_\d{4}$")


def read_lfw(folder: Path) -> list[Photograph]:
    """Return the photographs of LFW with the centre box as face and the person as group.

    Args:
        folder: holds `<Person>/<Person>_0001.jpg`, at any depth (`lfw-deepfunneled/` as unpacked), or all
            images in one folder.

    Raises:
        DataSetError: if no image is named like LFW's.
    """
    photographs = []
    for path in image_files(folder):
        numbered = _NUMBERED.match(path.stem)
        if numbered is None:
            continue
        photographs.append(
            Photograph(name=path.stem, path=path, faces=CENTRE_BOX, group=numbered["person"], complete=False)
        )
    if not photographs:
        raise DataSetError(f"{folder} holds no image named like LFW's (Person_Name_0001.jpg)")
    return photographs
