"""What people call and tell a run, made fit for the store before it goes into the journal.

A record that the server can never take would hold up every point behind it. So what a name, a tag or a config
cannot be is put right here, with a notice, and not refused days later. The limits are those of the server.
"""

from __future__ import annotations

from deepevent.jsontext import dumps
from deepevent.notices import say_once

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

LABEL_LIMIT = 250
TAGS_LIMIT = 1000
VALUES_LIMIT = 256 << 10  # characters of a config or summary as JSON
NOTES_LIMIT = 64 << 10
MARGIN = 1024
REPLACEMENT = "\ufffd"


def clean_label(text: object) -> str:
    """Return a name of a run, project, group or tag without control characters, in 250 characters."""
    label = str(text)[:LABEL_LIMIT]
    if label.isprintable():
        return label
    return "".join(REPLACEMENT if _is_control(ord(character)) else character for character in label)


def clean_tags(tags: Iterable[object]) -> list[str]:
    """Return tags without empty ones and doubles, sorted; the first thousand."""
    cleaned = sorted({clean_label(tag) for tag in tags} - {""})
    if len(cleaned) > TAGS_LIMIT:
        say_once("tags", f"a run has at most {TAGS_LIMIT} tags, and {len(cleaned) - TAGS_LIMIT} are not kept")
    return cleaned[:TAGS_LIMIT]


def fitting(values: dict[str, object], what: str) -> dict[str, object]:
    """Return the values of a config or summary, the largest left out while all together are too large."""
    if len(dumps(values)) <= VALUES_LIMIT - MARGIN:
        return values
    sizes = {key: len(dumps({key: value})) for key, value in values.items()}
    total, left_out = sum(sizes.values()) + MARGIN, []
    for key in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if total <= VALUES_LIMIT:
            break
        total -= sizes[key]
        left_out.append(key)
    named = ", ".join(repr(key[:40]) for key in left_out[:3]) + (", …" if len(left_out) > 3 else "")
    say_once(
        (what, "too large"),
        f"{what} may have {VALUES_LIMIT >> 10} KiB as JSON; left out: {named} (log_artifact takes any size)",
    )
    return {key: value for key, value in values.items() if key not in set(left_out)}


def _is_control(code: int) -> bool:
    return code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000
