"""TensorBoard's event files: what stands in them, as plain values. Knows no runs and no journal.

Both ways of writing are read: the old one with a field per kind of summary, and the newer one where all is a
tensor and the summary's metadata names the plugin that it is for, in the first of a tag alone.
Source: TensorFlow's `event.proto`, `summary.proto`, `tensor.proto` and TensorBoard's `plugin_data.proto`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

from deepevent.importers.tfrecord import RecordBroken, fields, floats, read_records, signed, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "tfevents"
FLOAT, DOUBLE, INT32, STRING, INT64 = 1, 2, 3, 7, 9  # TensorFlow's numbers of types
CODES = {FLOAT: "f", DOUBLE: "d", INT32: "i", INT64: "q"}
HPARAMS_TAGS = ("_hparams_/session_start_info", "_hparams_/experiment")


@dataclass
class Value:
    """One thing that was logged.

    Attributes:
        kind: `scalar`, `image`, `text`, `histogram`, `config`; or another plugin's name, with content None.
        content: a float; a list of image files; a list of texts; edges and counts; a dict.
    """

    tag: str
    step: int
    time: float
    kind: str
    content: object


@dataclass
class Reader:
    """Reads the event files of one run, in order.

    Attributes:
        damage: one sentence per file that ends before its end.
    """

    damage: list[str] = field(default_factory=list)
    _plugins: dict[str, str] = field(default_factory=dict)  # of each tag

    def read(self, path: Path) -> Iterator[Value]:
        """Yield what a file holds, up to its end or to where it is broken."""
        try:
            with path.open("rb") as file:
                for record in read_records(file):
                    yield from self._event(record)
        except RecordBroken as error:
            self.damage.append(f"{path}: {error}; what stands behind it is left out")

    def _event(self, message: bytes) -> Iterator[Value]:
        time, step, summary = 0.0, 0, b""
        for number, value in fields(message):
            if number == 1 and isinstance(value, bytes):
                (time,) = floats(value, "d")
            elif number == 2:
                step = signed(value)
            elif number == 5 and isinstance(value, bytes):
                summary = value
        for number, value in fields(summary):
            if number == 1 and isinstance(value, bytes):
                yield self._value(value, step, time)

    def _value(self, message: bytes, step: int, time: float) -> Value:
        found = {number: value for number, value in fields(message)}  # noqa: C416 - the last one counts
        tag = text(found.get(1, b""))
        plugin, config = _metadata(found.get(9, b""))
        self._plugins.setdefault(tag, plugin)
        kind, content = _content(found, self._plugins[tag])
        if config:
            kind, content = "config", config
        return Value(tag, step, time, kind, content)


def event_files(folder: Path) -> list[Path]:
    """Return the event files that lie in a folder itself, in the order in which they were begun."""
    return sorted(path for path in folder.iterdir() if MARK in path.name and path.is_file())


def run_folders(folder: Path) -> list[Path]:
    """Return every folder at or below `folder` that holds event files; links are not followed."""
    found = [folder] if event_files(folder) else []
    for inside in sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()):
        found += run_folders(inside)
    return found


def _metadata(message: int | bytes) -> tuple[str, dict[str, object]]:
    """Return the plugin's name, and the hyperparameters if that is what the plugin's data are."""
    if not isinstance(message, bytes):
        return "", {}
    data = next((value for number, value in fields(message) if number == 1), b"")
    if not isinstance(data, bytes):
        return "", {}
    found = dict(fields(data))
    plugin = text(found.get(1, b""))
    content = found.get(2, b"")
    return plugin, _hyperparameters(content) if plugin == "hparams" and isinstance(content, bytes) else {}


def _hyperparameters(message: bytes) -> dict[str, object]:
    """Read the `session_start_info` of the plugin's data: a map of names to values."""
    start = dict(fields(message)).get(3, b"")
    values: dict[str, object] = {}
    for number, pair in fields(start) if isinstance(start, bytes) else ():
        if number == 1 and isinstance(pair, bytes):
            key_and_value = dict(fields(pair))
            content = key_and_value.get(2, b"")
            values[text(key_and_value.get(1, b""))] = _plain(content) if isinstance(content, bytes) else None
    return values


def _plain(message: bytes) -> object:
    """Read a `google.protobuf.Value` that is a number, a text or a truth value."""
    for number, value in fields(message):
        if number == 2:
            return floats(value, "d")[0]
        if number == 3:
            return text(value)
        if number == 4:
            return bool(value)
    return None


def _content(found: dict[int, int | bytes], plugin: str) -> tuple[str, object]:
    if 2 in found:
        return "scalar", floats(found[2], "f")[0]
    if isinstance(found.get(4), bytes):
        image = dict(fields(found[4])).get(4, b"")  # type: ignore[arg-type]
        return "image", [image] if isinstance(image, bytes) else []
    if isinstance(found.get(5), bytes):
        return "histogram", _old_histogram(found[5])  # type: ignore[arg-type]
    if isinstance(found.get(8), bytes):
        return _tensor(found[8], plugin)  # type: ignore[arg-type]
    return ("audio" if 6 in found else plugin or "empty"), None


def _tensor(message: bytes, plugin: str) -> tuple[str, object]:
    numbers, strings = _read_tensor(message)
    if plugin in ("scalars", "") and len(numbers) == 1:
        return "scalar", numbers[0]
    if plugin == "images":
        return "image", strings[2:]  # width, height, and then one file each
    if plugin == "text":
        return "text", [text(string) for string in strings]
    if plugin == "histograms":
        rows = list(zip(numbers[0::3], numbers[1::3], numbers[2::3], strict=False))
        edges = [row[0] for row in rows] + [row[1] for row in rows[-1:]]
        return "histogram", (edges, [row[2] for row in rows])
    return plugin or "tensor", None


def _read_tensor(message: bytes) -> tuple[list[float], list[bytes]]:
    """Return a tensor's numbers or its strings, row by row."""
    kind, raw = 0, b""
    numbers: list[float] = []
    strings: list[bytes] = []
    for number, value in fields(message):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number == 4 and isinstance(value, bytes):
            raw = value
        elif number in (5, 6):
            numbers += floats(value, "f" if number == 5 else "d")
        elif number in (7, 10):
            numbers += _integers(value)
        elif number == 8 and isinstance(value, bytes):
            strings.append(value)
    if raw and kind in CODES:
        size = struct.calcsize(f"<{CODES[kind]}")
        numbers += struct.unpack(f"<{len(raw) // size}{CODES[kind]}", raw[: len(raw) // size * size])
    return numbers, strings


def _integers(value: int | bytes) -> list[float]:
    """Return packed varints, or the one that stands alone."""
    if isinstance(value, int):
        return [float(signed(value))]
    numbers, number, shift = [], 0, 0
    for byte in value:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(float(signed(number & (1 << 64) - 1)))
            number = shift = 0
    return numbers


def _old_histogram(message: bytes) -> tuple[list[float], list[float]]:
    """Read the old kind: an upper bound and a count for each bucket, empty ones out to 1e308 at both ends."""
    lowest, highest, bounds, counts = 0.0, 0.0, list[float](), list[float]()
    for number, value in fields(message):
        if number == 1:
            (lowest,) = floats(value, "d")
        elif number == 2:
            (highest,) = floats(value, "d")
        elif number == 6:
            bounds += floats(value, "d")
        elif number == 7:
            counts += floats(value, "d")
    filled = [place for place, count in enumerate(counts) if count]
    if not filled or len(bounds) != len(counts):
        return [], []
    first, last = filled[0], filled[-1]
    below = bounds[first - 1] if first else lowest
    edges = [min(max(edge, lowest), highest) for edge in [below, *bounds[first : last + 1]]]
    return edges, counts[first : last + 1]
