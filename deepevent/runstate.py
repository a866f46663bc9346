"""What a script changes on its run, and every change goes into the journal: config, summary, tags."""

from __future__ import annotations

from deepevent.jsontext import plain, plain_key
from deepevent.labels import clean_label, clean_tags, fitting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class JournaledDict(dict[str, object]):
    """A dict whose changes are recorded: they are merged, key by key, into what the server has.

    Removing a key changes the local view only: the journal knows no removal.
    """

    def __init__(self, record: Callable[[dict[str, object]], None]) -> None:
        super().__init__()
        self._record = record

    def fill(self, values: dict[str, object]) -> None:
        """Set values that are recorded elsewhere."""
        super().update(values)

    def __setitem__(self, key: str, value: object) -> None:
        self.update({key: value})

    def update(self, *others: object, **values: object) -> None:
        """Merge values in, and record them."""
        merged = dict(*others, **values)
        changed = {plain_key(key): plain(value) for key, value in merged.items()}
        super().update(changed)
        kept = fitting(changed, "a config or summary")
        if kept:
            self._record(kept)

    def setdefault(self, key: str, default: object = None) -> object:
        """Set a value that is missing."""
        if key not in self:
            self.update({key: default})
        return self[key]

    def __ior__(self, other: object) -> JournaledDict:  # type: ignore[override,misc]
        self.update(other)
        return self


class JournaledTags:
    """A set of tags; each change records the whole of it."""

    def __init__(self, tags: Iterable[str], record: Callable[[list[str]], None]) -> None:
        self._tags = set(clean_tags(tags))
        self._record = record

    def add(self, *tags: str) -> None:
        """Add tags."""
        self._become(set(clean_tags([*self._tags, *tags])))

    update = add

    def discard(self, *tags: str) -> None:
        """Remove tags, if they are there."""
        self._become(self._tags.difference(map(clean_label, tags)))

    remove = discard

    def _become(self, tags: set[str]) -> None:
        if tags != self._tags:
            self._tags = tags
            self._record(sorted(tags))

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._tags))

    def __contains__(self, tag: object) -> bool:
        return clean_label(tag) in self._tags

    def __len__(self) -> int:
        return len(self._tags)

    def __repr__(self) -> str:
        return f"{{{', '.join(map(repr, self))}}}"
