"""Take a request's fields one by one, and then list every mistake at once.

Parsing only: what a field means is its route's business. A bool is no number here, and "1" is no integer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flask import request

from deepevent_web import strict_json
from deepevent_web.limits import LIMITS
from deepevent_web.problems import Problem

MAX_NAME = LIMITS.name_characters
MAX_TEXT = LIMITS.text_characters
MAX_STEP = 2**63 - 1
ULID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}\Z")
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_MISSING: Any = object()


def json_body() -> dict[str, Any]:
    """The request's body as a JSON object.

    Raises:
        Problem: 415 for another content type, 400 for what is not a plain JSON object.
    """
    if request.mimetype != "application/json":
        raise Problem(415, f"the body must be application/json, got {request.mimetype[:80]!r}")
    try:
        body = strict_json.parse(request.get_data())
    except strict_json.JsonRefused as error:
        raise Problem(400, str(error)) from None
    if not isinstance(body, dict):
        raise Problem(400, f"the body must be a JSON object, got {type(body).__name__}")
    return body


class Fields:
    """The fields of one object; `done()` raises with all mistakes found."""

    def __init__(self, values: Mapping[str, Any], prefix: str = "") -> None:
        self._values = values
        self._prefix = prefix
        self._taken: set[str] = set()
        self.errors: list[dict[str, str]] = []

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def wrong(self, name: str, detail: str) -> None:
        """Note that field `name` is wrong."""
        self.errors.append({"field": self._prefix + name, "detail": detail})

    def _take(self, name: str, default: Any) -> Any:
        self._taken.add(name)
        value = self._values.get(name, default)
        if value is _MISSING:
            self.wrong(name, "is required")
            return None
        if value is None and default is _MISSING:
            self.wrong(name, "must not be null")
        # Where something may be left out, null says the same.
        return default if value is None and default is not _MISSING else value

    def text(self, name: str, default: Any = _MISSING, *, limit: int = MAX_TEXT) -> Any:
        """A text of at most `limit` characters."""
        value = self._take(name, default)
        if value is default or value is None:
            return value
        if not isinstance(value, str):
            self.wrong(name, f"must be a text, got {_kind(value)}")
        elif len(value) > limit:
            self.wrong(name, f"may have {limit} characters, got {len(value)}")
        return value

    def name(self, name: str, default: Any = _MISSING) -> Any:
        """A name: one line, at most 250 characters, no control characters."""
        value = self.text(name, default, limit=MAX_NAME)
        if value is default or not isinstance(value, str):
            return value
        self.check_name(name, value)
        return value

    def names(self, name: str, default: Any = _MISSING, *, limit: int = 100) -> Any:
        """A list of names."""
        value = self._take(name, default)
        if value is default or value is None:
            return value
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.wrong(name, "must be a list of texts")
            return value
        if len(value) > limit:
            self.wrong(name, f"may have {limit} entries, got {len(value)}")
        for item in value[:limit]:
            self.check_name(name, item)
        return value

    def check_name(self, name: str, value: str) -> None:
        """Note what keeps `value` from being a name."""
        if not value.strip():
            self.wrong(name, "must not be empty")
        elif len(value) > MAX_NAME:
            self.wrong(name, f"may have {MAX_NAME} characters, got {len(value)}")
        elif _CONTROL.search(value):
            self.wrong(name, "must not hold control characters")

    def integer(self, name: str, default: Any = _MISSING, *, low: int = 0, high: int = MAX_STEP) -> Any:
        """An integer in a range; neither a bool, nor a float, nor a text."""
        value = self._take(name, default)
        if value is default or value is None:
            return value
        if type(value) is not int:
            self.wrong(name, f"must be an integer, got {_kind(value)}")
        elif not low <= value <= high:
            self.wrong(name, f"must lie between {low} and {high}, got {value}")
        return value

    def number(
        self, name: str, default: Any = _MISSING, *, low: float | None = None, high: float | None = None
    ) -> Any:
        """A finite number, perhaps in a range."""
        value = self._take(name, default)
        if value is default or value is None:
            return value
        if type(value) not in (int, float):
            self.wrong(name, f"must be a number, got {_kind(value)}")
            return value
        if (low is not None and value < low) or (high is not None and value > high):
            self.wrong(name, f"must lie between {low} and {high}, got {value}")
        return float(value)

    def flag(self, name: str, default: Any = _MISSING) -> Any:
        """True or false."""
        value = self._take(name, default)
        if value is not default and not isinstance(value, bool):
            self.wrong(name, f"must be true or false, got {_kind(value)}")
        return value

    def choice(self, name: str, allowed: Sequence[str], default: Any = _MISSING) -> Any:
        """One of a few words."""
        value = self._take(name, default)
        if value is not default and value not in allowed:
            self.wrong(name, f"must be one of {', '.join(allowed)}")
        return value

    def mapping(self, name: str, default: Any = _MISSING) -> Any:
        """An object."""
        value = self._take(name, default)
        if value is not default and not isinstance(value, dict):
            self.wrong(name, f"must be an object, got {_kind(value)}")
        return value

    def sequence(self, name: str, default: Any = _MISSING, *, limit: int) -> Any:
        """A list of at most `limit` entries."""
        value = self._take(name, default)
        if value is default:
            return value
        if not isinstance(value, list):
            self.wrong(name, f"must be a list, got {_kind(value)}")
        elif len(value) > limit:
            self.wrong(name, f"may have {limit} entries, got {len(value)}")
        return value

    def ulid(self, name: str, default: Any = _MISSING) -> Any:
        """An identifier of 26 characters."""
        value = self._take(name, default)
        if value is not default and value is not None and not (isinstance(value, str) and ULID.match(value)):
            self.wrong(name, "must be an identifier of 26 characters (a ULID in lower case)")
        return value

    def done(self, status: int = 422) -> None:
        """Raise a problem that lists all mistakes, unknown fields included; nothing if there is none."""
        for name in self._values:
            if name not in self._taken:
                self.wrong(str(name)[:MAX_NAME], "is not a field of this request")
        if self.errors:
            first = self.errors[0]
            raise Problem(status, f"{first['field'] or 'the body'} {first['detail']}", errors=self.errors)


def _kind(value: Any) -> str:
    names = {
        bool: "a bool",
        int: "an integer",
        float: "a float",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "null")


class Query(Fields):
    """The query string's fields; a number arrives as text."""

    def __init__(self) -> None:
        values: dict[str, Any] = {}
        super().__init__(values)
        for key, found in request.args.lists():
            if len(found) > 1:
                self.wrong(key[:MAX_NAME], "may be given once")
            if "\0" in found[0] or any("\ud800" <= character <= "\udfff" for character in found[0]):
                self.wrong(key[:MAX_NAME], "holds a character that is not allowed")
                continue
            values[key] = found[0]

    def count(self, name: str, default: int, *, low: int = 0, high: int = MAX_STEP) -> int:
        """A whole number written in digits."""
        text = self._take(name, None)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= 19):
            self.wrong(name, "must be a whole number")
            return default
        number = int(text)
        if not low <= number <= high:
            self.wrong(name, f"must lie between {low} and {high}, got {number}")
        return number

    def words(self, name: str, *, limit: int) -> list[str] | None:
        """A list separated by commas, or None."""
        text = self._take(name, None)
        if text is None:
            return None
        found = [word for word in text.split(",") if word]
        if len(found) > limit:
            self.wrong(name, f"may have {limit} entries, got {len(found)}")
        return found

    def json_names(self, name: str, *, limit: int) -> list[str]:
        """A JSON list of texts, for names that may hold commas; empty where it is left out."""
        text = self._take(name, None)
        if text is None:
            return []
        try:
            found = strict_json.parse(text.encode())
        except strict_json.JsonRefused as error:
            self.wrong(name, str(error))
            return []
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            self.wrong(name, "must be a JSON list of texts")
            return []
        if len(found) > limit:
            self.wrong(name, f"may have {limit} entries, got {len(found)}")
        return found
