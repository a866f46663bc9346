"""Which classes of a set annotated with many are faces.

Sets in the formats of VOC, COCO and YOLO name their classes as they like. One rule for the three.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from deepevent.errors import DataSetError


def face_classes(classes: Iterable[str], wanted: Collection[str] | None, where: str) -> set[str]:
    """Return the classes that count as faces.

    Those `wanted`; else the only class there is; else those with `face` in their name.

    Args:
        classes: all class names of the set.
        wanted: names chosen by the caller, or None.
        where: the set, for the message.

    Raises:
        DataSetError: if a wanted class does not exist, or no rule finds one.
    """
    known = set(classes)
    if wanted is not None:
        unknown = set(wanted) - known
        if unknown and known:
            raise DataSetError(
                f"{where} has no class {sorted(unknown)[0]!r}: it has {', '.join(sorted(known))}"
            )
        return set(wanted)
    if len(known) <= 1:
        return known
    named = {name for name in known if "face" in name.lower()}
    if not named:
        raise DataSetError(
            f"no class of {where} is named after faces: choose among {', '.join(sorted(known))}"
        )
    return named
