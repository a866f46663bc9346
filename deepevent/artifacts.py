"""Which files an artifact consists of."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def find_files(root: str) -> Iterator[tuple[str, str]]:
    """Yield each file below `root`, or `root` itself, with its path relative to it, by name.

    Links inside a folder are left out: they may lead anywhere.

    Raises:
        OSError: there is nothing at `root`, or it cannot be read.
    """
    if not os.path.isdir(root):  # noqa: PTH112 - plain os functions throughout
        yield root, os.path.basename(root)  # noqa: PTH119
        return
    pending = [root]
    while pending:
        with os.scandir(pending.pop()) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry.path, os.path.relpath(entry.path, root)
