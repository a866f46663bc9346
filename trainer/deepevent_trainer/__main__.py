"""`python -m deepevent_trainer …` is `deepevent …`, for launchers that start modules, such as torchrun."""

from __future__ import annotations

from deepevent.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
