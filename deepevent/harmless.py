"""Makes the methods of a run harmless: what goes wrong is said once, and the script goes on."""

from __future__ import annotations

from deepevent.notices import say_once

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec

    from deepevent.run import Run

    P = ParamSpec("P")


def harmless(method: Callable[P, None]) -> Callable[P, None]:
    """Make a method say once what went wrong instead of raising; a caller's mistake raises in strict mode."""

    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except Exception as error:
            run: Run = args[0]  # type: ignore[assignment]
            if run.settings.strict and isinstance(error, (TypeError, ValueError)):
                raise
            say_once((method.__name__, str(error)), f"{method.__name__}: {error}")

    guarded.__name__, guarded.__doc__ = method.__name__, method.__doc__
    guarded.__wrapped__ = method  # type: ignore[attr-defined]  # as functools.wraps, without its import
    return guarded
