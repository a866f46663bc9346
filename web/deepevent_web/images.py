"""What kind of image a file is and how large it would be in a browser, told by its first bytes.

The server never decodes an image. But a file of a few kilobytes can make the browser that shows it decode
gigabytes, and a file that calls itself an image need not be one. So only what really begins like a PNG, JPEG,
GIF or WebP, within the limits on bytes, pixels and frames, is served as an image; all else is an attachment.
Knows nothing of requests or of the store.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

PNG, JPEG, GIF, WEBP = "image/png", "image/jpeg", "image/gif", "image/webp"
_HEAD_BYTES = 64
_MARKERS_LOOKED_AT = 4096
_CHUNKS_LOOKED_AT = 4096
_TOO_MANY = 1 << 31
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The JPEG segments that hold the image's size (ITU T.81, table B.1: SOF0 to SOF15 without DHT, JPG, DAC)."""


@dataclass(frozen=True, slots=True)
class Image:
    """What an image says of itself.

    Attributes:
        mime: one of the four types.
        width_px, height_px: of the canvas.
        n_frames: 1 for a still image. Counted for PNG and GIF; of an animated WebP only that it moves.
    """

    mime: str
    width_px: int
    height_px: int
    n_frames: int = 1


def look(file: BinaryIO) -> Image | None:
    """Tell what image `file` holds, from its start; None if it is none that we serve."""
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    try:
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(file)
        if head.startswith(b"\xff\xd8\xff"):
            return _jpeg(file)
        if head.startswith((b"GIF87a", b"GIF89a")):
            return _gif(file)
        if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
            return _webp(head)
    except (struct.error, IndexError, OSError):
        return None
    return None


def _png(file: BinaryIO) -> Image | None:
    """PNG (ISO 15948): IHDR comes first; an animation has acTL before the first IDAT."""
    width = height = 0
    n_frames = 1
    for number, (kind, length) in enumerate(_png_chunks(file)):
        if number == 0:
            if kind != b"IHDR" or length != 13:
                return None
            width, height = struct.unpack(">II", file.read(8))
            file.seek(5, 1)
        elif kind == b"acTL":
            (n_frames,) = struct.unpack(">I", file.read(4))
            file.seek(length - 4, 1)
        elif kind == b"IDAT":
            return Image(PNG, width, height, n_frames) if width and height else None
        else:
            file.seek(length, 1)
        file.seek(4, 1)  # the chunk's CRC
    return None


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    file.seek(8)
    for _ in range(_CHUNKS_LOOKED_AT):
        length, kind = struct.unpack(">I4s", file.read(8))
        yield kind, length


def _jpeg(file: BinaryIO) -> Image | None:
    """JPEG (ITU T.81, annex B): segments, one of which is the frame's header."""
    file.seek(2)
    for _ in range(_MARKERS_LOOKED_AT):
        mark, marker = struct.unpack("BB", file.read(2))
        if mark != 0xFF:
            return None
        if marker == 0xFF:  # a fill byte
            file.seek(-1, 1)
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack(">xHH", file.read(5))
            return Image(JPEG, width, height) if width and height else None
        if length < 2 or marker in (0xD9, 0xDA):
            return None
        file.seek(length - 2, 1)
    return None


def _gif(file: BinaryIO) -> Image | None:
    """GIF89a: the canvas, and one image descriptor per frame."""
    width, height, packed = struct.unpack("<HHBxx", file.read(13)[6:])
    if not width or not height:
        return None
    _skip_colours(file, packed)
    n_frames = 0
    for _ in range(_CHUNKS_LOOKED_AT):
        kind = file.read(1)
        if kind == b"\x21":
            file.read(1)
        elif kind == b"\x2c":
            n_frames += 1
            (packed,) = struct.unpack("<8xB", file.read(9))
            _skip_colours(file, packed)
            file.read(1)
        else:  # the trailer, the end, or what no browser would go on from
            break
        if not _skip_blocks(file):
            break
    else:
        n_frames = _TOO_MANY
    return Image(GIF, width, height, n_frames) if n_frames else None


def _skip_colours(file: BinaryIO, packed: int) -> None:
    if packed & 0x80:
        file.seek(3 << ((packed & 7) + 1), 1)


def _skip_blocks(file: BinaryIO) -> bool:
    while size := file.read(1):
        if size == b"\0":
            return True
        file.seek(size[0], 1)
    return False


def _webp(head: bytes) -> Image | None:
    """WebP (RFC 9649): the first chunk says lossy, lossless or extended."""
    kind = head[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return Image(WEBP, width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        return Image(WEBP, (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8X":
        width = int.from_bytes(head[24:27], "little") + 1
        height = int.from_bytes(head[27:30], "little") + 1
        return Image(WEBP, width, height, _TOO_MANY if head[20] & 0x02 else 1)
    return None
