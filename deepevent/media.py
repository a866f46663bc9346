"""Images, histograms, tables and figures as what the server stores: bytes with a media type, or plain JSON.

Needs nothing outside the standard library; NumPy is used when the caller's arrays bring it. Must not know
runs or journals.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import Any

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIXEL_LIMIT = 16_000_000
FILE_LIMIT_BYTES = 10 << 20
ROWS_LIMIT = 10_000
TEXT_LIMIT = 256 << 10
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels → PNG colour type
SIGNATURES = (
    (PNG_SIGNATURE, "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
CHANNELS = (1, 3, 4)


def encode_image(image: object) -> tuple[bytes, str]:
    """Turn an image of any usual kind into a file's bytes.

    Args:
        image: an array (H, W) or (H, W, C) or a tensor (C, H, W) or (H, W), C in 1, 3, 4; uint8 or bool, or
            float in [0, 1] (or [0, 255] if anything is above 1); a PIL image; a path; bytes of a PNG, JPEG,
            GIF or WebP file. A tensor on an accelerator is waited for.

    Returns:
        The bytes and their media type.

    Raises:
        TypeError: it is none of these.
        ValueError: its shape is no image's, or it is too large.
        OSError: the file cannot be read.
    """
    if isinstance(image, (str, os.PathLike)):
        with open(image, "rb") as file:  # noqa: PTH123 - any path-like
            return _checked_file(file.read(FILE_LIMIT_BYTES + 1))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return _checked_file(bytes(image))
    if hasattr(image, "save") and hasattr(image, "mode") and hasattr(image, "tobytes"):  # PIL
        return _encode_pil(image), "image/png"
    return encode_png(image), "image/png"


def _checked_file(data: bytes) -> tuple[bytes, str]:
    if len(data) > FILE_LIMIT_BYTES:
        raise ValueError(f"an image file may have {FILE_LIMIT_BYTES} bytes")
    mime = media_type(data)
    if mime is None:
        raise ValueError("an image file must be PNG, JPEG, GIF or WebP")
    return data, mime


def media_type(data: bytes) -> str | None:
    """Return the media type of an image file, or None if it is no image that browsers show."""
    for signature, mime in SIGNATURES:
        if data.startswith(signature):
            return mime
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def _encode_pil(image: Any) -> bytes:
    if image.mode not in ("1", "L", "LA", "RGB", "RGBA", "P", "I;16"):
        image = image.convert("RGB")
    width, height = image.size
    _check_size(height, width)
    import io

    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def encode_png(image: object) -> bytes:
    """Write an array or tensor as PNG; shapes and values as in `encode_image`."""
    pixels = _pixels(image)
    height, width, channels = pixels.shape
    _check_size(height, width)
    import numpy

    rows = pixels.reshape(height, width * channels)
    above = numpy.vstack([numpy.zeros((1, width * channels), numpy.uint8), rows[:-1]])
    filtered = numpy.empty((height, width * channels + 1), numpy.uint8)
    filtered[:, 0] = 2  # filter "up": each byte less the one above it
    numpy.subtract(rows, above, out=filtered[:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0)
    body = zlib.compress(filtered.tobytes(), 1)
    return PNG_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _check_size(height: int, width: int) -> None:
    if height < 1 or width < 1 or height * width > PIXEL_LIMIT:
        raise ValueError(f"an image has 1 to {PIXEL_LIMIT} pixels, got {width} x {height}")


def _pixels(image: object) -> Any:
    """Return (H, W, C) uint8."""
    is_tensor = hasattr(image, "detach")
    array = as_array(image)
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        return _as_bytes(array[:, :, None])
    if array.ndim != 3:
        raise ValueError(f"an image has the shape (H, W), (H, W, C) or (C, H, W), got {array.shape}")
    channels_first = array.shape[0] in CHANNELS and (is_tensor or array.shape[2] not in CHANNELS)
    if channels_first:
        array = array.transpose(1, 2, 0)
    if array.shape[2] not in CHANNELS:
        raise ValueError(f"an image has 1, 3 or 4 channels, got the shape {array.shape}")
    return _as_bytes(array)


def _as_bytes(array: Any) -> Any:
    import numpy

    if array.dtype == numpy.uint8:
        return numpy.ascontiguousarray(array)
    if array.dtype == numpy.bool_:
        return array.astype(numpy.uint8) * numpy.uint8(255)
    if array.dtype.kind in "iu":
        return array.clip(0, 255).astype(numpy.uint8)
    if array.dtype.kind != "f":
        raise TypeError(f"an image's values must be numbers, got {array.dtype}")
    array = numpy.nan_to_num(array.astype(numpy.float32), nan=0.0, posinf=255.0, neginf=0.0)
    if array.size and array.max() <= 1.0:
        array = array * 255.0
    return (array.clip(0.0, 255.0) + 0.5).astype(numpy.uint8)


def as_array(values: object) -> Any:
    """Turn arrays, tensors and nested lists into a NumPy array.

    Raises:
        TypeError: it is nothing of that kind, or NumPy is not installed.
    """
    try:
        import numpy
    except ImportError:
        raise TypeError("arrays need NumPy: pip install numpy") from None
    if hasattr(values, "detach"):  # a tensor: off the graph, off the device, and bfloat16 has no NumPy type
        tensor = values.detach().cpu()
        if "bfloat16" in str(tensor.dtype):
            tensor = tensor.float()
        values = tensor.numpy()
    try:
        array = numpy.asarray(values)
    except ValueError as error:
        raise TypeError(f"this is no array: {error}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"an array of numbers is needed, got {type(values).__name__} of {array.dtype}")
    return array


def histogram(values: object, bins: int) -> dict[str, object]:
    """Count values in equal bins between the smallest and the largest finite one.

    Returns:
        `edges` (bins + 1), `counts` (bins), `n`, `nan`, `positive_infinity`, `negative_infinity`.

    Raises:
        TypeError: not an array of numbers.
        ValueError: bins not in 1 … 1024.
    """
    if not isinstance(bins, int) or not 1 <= bins <= 1024:
        raise ValueError(f"a histogram has 1 to 1024 bins, got {bins!r}")
    import numpy

    array = as_array(values).astype(numpy.float64).ravel()
    finite = array[numpy.isfinite(array)]
    counts, edges = numpy.histogram(finite, bins=bins)
    return {
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        "n": int(array.size),
        "nan": int(numpy.isnan(array).sum()),
        "positive_infinity": int(numpy.isposinf(array).sum()),
        "negative_infinity": int(numpy.isneginf(array).sum()),
    }


def table(rows: Any) -> dict[str, object]:
    """Turn rows into columns and lists of cells.

    Args:
        rows: dicts, or lists of cells, or a data frame.

    Raises:
        TypeError: none of these.
        ValueError: more than 10,000 rows.
    """
    if hasattr(rows, "to_dicts"):  # polars
        rows = rows.to_dicts()
    elif hasattr(rows, "to_dict"):  # pandas
        rows = rows.to_dict(orient="records")
    rows = list(rows)
    if len(rows) > ROWS_LIMIT:
        raise ValueError(f"a table has at most {ROWS_LIMIT} rows, got {len(rows)}")
    if all(isinstance(row, dict) for row in rows):
        columns = list(dict.fromkeys(str(key) for row in rows for key in row))
        cells = [[{str(k): v for k, v in row.items()}.get(column) for column in columns] for row in rows]
        return {"columns": columns, "rows": cells}
    if all(isinstance(row, (list, tuple)) for row in rows):
        width = max((len(row) for row in rows), default=0)
        return {"columns": [str(i) for i in range(width)], "rows": [list(row) for row in rows]}
    raise TypeError("a table's rows must all be dicts or all be lists")


def encode_figure(figure: Any) -> tuple[bytes, str]:
    """Turn a plotly figure into its JSON, a matplotlib figure into a PNG.

    Raises:
        TypeError: it is neither.
    """
    if hasattr(figure, "to_plotly_json") and hasattr(figure, "to_json"):
        return str(figure.to_json()).encode(), "application/vnd.plotly.v1+json"
    if not hasattr(figure, "savefig"):
        figure = getattr(figure, "figure", figure)  # an Axes
    if hasattr(figure, "savefig"):
        import io

        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", bbox_inches="tight")
        return buffer.getvalue(), "image/png"
    raise TypeError(f"a figure must be one of plotly or matplotlib, got {type(figure).__name__}")


def shorten(text: object) -> str:
    """A text of at most 256 KiB."""
    if not isinstance(text, str):
        raise TypeError(f"a text must be a str, got {type(text).__name__}")
    raw = text.encode("utf-8", "replace")
    return text if len(raw) <= TEXT_LIMIT else raw[:TEXT_LIMIT].decode("utf-8", "ignore") + "…"
