"""Settings: a flag over the environment over `$DEEPEVENT_HOME/settings.toml` over the default.

One table, `SETTINGS`, holds all there are; docs/client.md lists the same. Must not know what a setting is
used for.
"""

# Plain os functions: pathlib would be a fifth of the start of `deepevent log`.
# ruff: noqa: PTH100, PTH111, PTH113, PTH118, PTH123

from __future__ import annotations

import os

from deepevent.errors import SettingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
SETTINGS_FILE = "settings.toml"
TRUE_WORDS = ("1", "true", "yes", "on")
FALSE_WORDS = ("", "0", "false", "no", "off")


def _text(value: object) -> str:
    return str(value).strip()


def _flag(value: object) -> bool:
    word = str(value).strip().lower()
    if word not in TRUE_WORDS + FALSE_WORDS:
        raise ValueError(f"must be one of {', '.join(TRUE_WORDS + FALSE_WORDS[1:])}")
    return word in TRUE_WORDS


def _mode(value: object) -> str:
    word = str(value).strip().lower()
    if word not in ("online", "offline", "disabled"):
        raise ValueError("must be online, offline or disabled")
    return word


def _seconds(value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        raise ValueError("must be a number of seconds") from None
    if not 0 <= number <= 86_400:
        raise ValueError("must lie between 0 and 86400 seconds")
    return number


def _count(value: object) -> int:
    text = str(value).strip()
    if not text.isdecimal() or not 1 <= int(text) <= 10**9:
        raise ValueError("must be a whole number from 1 on")
    return int(text)


def _rank(value: object) -> int:
    text = str(value).strip()
    if not text.isdecimal() or int(text) >= 1 << 31:
        raise ValueError("must be a whole number from 0 on")
    return int(text)


def _bytes(value: object) -> int:
    text = str(value).strip().replace(" ", "")
    digits = text.rstrip("BbKkMmGgTtIi")
    unit = text[len(digits) :].upper()
    try:
        size = int(float(digits) * UNITS[unit])
    except (KeyError, ValueError, OverflowError):
        raise ValueError("must be a size such as 500MB or 2GiB") from None
    if size < 0:
        raise ValueError("must not be negative")
    return size


class Setting:
    """One setting: where it may stand, how it is read, what it is for."""

    __slots__ = ("default", "meaning", "name", "read", "variables")

    def __init__(
        self,
        name: str,
        variables: tuple[str, ...],
        read: Callable[[object], object],
        default: object,
        meaning: str,
    ) -> None:
        self.name = name
        self.variables = variables
        self.read = read
        self.default = default
        self.meaning = meaning


SETTINGS = (
    Setting(
        "home", ("DEEPEVENT_HOME",), _text, "~/.deepevent", "Folder of the local store and of the spool."
    ),
    Setting("url", ("DEEPEVENT_URL",), _text, "", "Server to log to; empty: the one of the local home."),
    Setting(
        "token", ("DEEPEVENT_TOKEN",), _text, "", "Token for that server; the local one is found by itself."
    ),
    Setting("project", ("DEEPEVENT_PROJECT",), _text, "default", "Project of runs that name none."),
    Setting("run", ("DEEPEVENT_RUN",), _text, "", "Run to join, by id or by name, instead of starting one."),
    Setting(
        "mode", ("DEEPEVENT_MODE",), _mode, "online", "online, offline (spool only) or disabled (no-op)."
    ),
    Setting(
        "strict",
        ("DEEPEVENT_STRICT",),
        _flag,
        False,
        "Raise TypeError and ValueError for what cannot be logged.",
    ),
    Setting("rank", ("DEEPEVENT_RANK", "RANK"), _rank, 0, "Rank of this process among those of one run."),
    Setting(
        "exit_timeout_s",
        ("DEEPEVENT_EXIT_TIMEOUT",),
        _seconds,
        10.0,
        "Longest wait for the server at the end.",
    ),
    Setting(
        "spool_limit_bytes", ("DEEPEVENT_SPOOL_LIMIT",), _bytes, 2 << 30, "Most bytes the spool may hold."
    ),
    Setting(
        "capture",
        ("DEEPEVENT_CAPTURE",),
        _flag,
        True,
        "Find out commit, uncommitted changes, packages, machine and GPUs.",
    ),
    Setting(
        "system_interval_s",
        ("DEEPEVENT_SYSTEM_INTERVAL",),
        _seconds,
        5.0,
        "Time between samples of CPU, memory, disk, network and GPUs; 0 takes none.",
    ),
    Setting("metric_limit", ("DEEPEVENT_METRIC_LIMIT",), _count, 10_000, "Most metric names in one run."),
)


class Settings:
    """The settings in force.

    Args:
        flags: what was given by argument; None means not given.
        environment: usually `os.environ`.

    Raises:
        SettingsError: with every problem that there is, one per line.
    """

    home: str
    url: str
    token: str
    project: str
    run: str
    mode: str
    strict: bool
    rank: int
    exit_timeout_s: float
    spool_limit_bytes: int
    metric_limit: int
    capture: bool
    system_interval_s: float

    def __init__(
        self, flags: Mapping[str, object] | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        flags = flags or {}
        environment = os.environ if environment is None else environment
        problems: list[str] = []
        file_values: Mapping[str, object] = {}
        for setting in SETTINGS:
            value, source = self._find(setting, flags, environment, file_values)
            try:
                setattr(self, setting.name, setting.read(value))
            except ValueError as error:
                problems.append(f"{source} {error}, got {value!r}")
            if setting.name == "home":  # first in the table: the file lies in it
                self.home = os.path.abspath(os.path.expanduser(self.home))
                file_values = self._read_file(problems)
        if self.url and not self.url.startswith(("http://", "https://")):
            problems.append(f"url must start with http:// or https://, got {self.url!r}")
        if problems:
            raise SettingsError("\n".join(problems))

    @staticmethod
    def _find(
        setting: Setting,
        flags: Mapping[str, object],
        environment: Mapping[str, str],
        file_values: Mapping[str, object],
    ) -> tuple[object, str]:
        if flags.get(setting.name) is not None:
            return flags[setting.name], setting.name
        for variable in setting.variables:
            if environment.get(variable):
                return environment[variable], variable
        if setting.name in file_values:
            return file_values[setting.name], f"{setting.name} in {SETTINGS_FILE}"
        return setting.default, setting.name

    def _read_file(self, problems: list[str]) -> Mapping[str, object]:
        path = os.path.join(self.home, SETTINGS_FILE)
        if not os.path.isfile(path):
            return {}
        import tomllib

        try:
            with open(path, "rb") as file:
                values = tomllib.load(file)
        except (OSError, ValueError) as error:
            problems.append(f"{path} cannot be read: {error}")
            return {}
        known = {setting.name for setting in SETTINGS} - {"home"}
        problems.extend(
            f"{path} has the unknown setting {name!r}; known are {', '.join(sorted(known))}"
            for name in values
            if name not in known
        )
        return values
