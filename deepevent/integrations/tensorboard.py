"""`SummaryWriter` with the interface of `torch.utils.tensorboard`, logging to a run.

    from deepevent.integrations.tensorboard import SummaryWriter

Signatures are those of PyTorch's class, so a script needs no other change. What has no place in a run
(graphs, embeddings, meshes, sound, films) is said once and left out, and so is what cannot be logged.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import deepevent
from deepevent.harmless import harmless
from deepevent.liveruns import live_runs
from deepevent.notices import say_once
from deepevent.values import to_float

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from deepevent.run import Run
    from deepevent.settings import Settings

IMAGES_SHOWN = 64  # of a batch


class SummaryWriter:
    """Logs to the process's current run, or to a run of its own that ends with the writer.

    Args:
        log_dir: the last part of it is the name of a run of its own; nothing is written there.
        comment: added to that name.
        purge_step: ignored, as the newest value of a step is shown anyway.
        max_queue: ignored, as nothing waits in memory.
        flush_secs: ignored likewise.
        filename_suffix: ignored.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
    ) -> None:
        del purge_step, max_queue, flush_secs, filename_suffix
        self.log_dir = "" if log_dir is None else os.fspath(log_dir)
        self._owned = not live_runs
        name = Path(self.log_dir).name + comment
        self.run: Run = deepevent.start(name=name or None) if self._owned else live_runs[-1]

    @property
    def settings(self) -> Settings:
        """Those of the run."""
        return self.run.settings

    # ---- Numbers -----------------------------------------------------------------------------------------

    @harmless
    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """Log a number; all 64 bits of it are kept."""
        del new_style, double_precision
        self._log({tag: scalar_value}, global_step, walltime)

    @harmless
    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Log several numbers under one heading."""
        values = {f"{main_tag}/{tag}": value for tag, value in tag_scalar_dict.items()}
        self._log(values, global_step, walltime)

    def _log(self, values: Mapping[str, Any], step: int | None, walltime: float | None) -> None:
        if walltime is None:
            self.run.log(values, step=_whole(step))
            return
        numbers = {name: to_float(value) for name, value in values.items()}
        self.run.log_at(numbers, 0 if step is None else int(step), float(walltime))

    @harmless
    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        hparam_domain_discrete: object = None,
        run_name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        """Put hyperparameters into the run's config, and what came of them into its summary."""
        del hparam_domain_discrete, run_name, global_step
        self.run.config.update(dict(hparam_dict))
        self.run.summary.update({name: to_float(value) for name, value in metric_dict.items()})

    # ---- Everything else ---------------------------------------------------------------------------------

    @harmless
    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: int | None = None,
        bins: str | int = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """Log the distribution of many numbers, in 64 equal bins unless `bins` is another number."""
        del walltime, max_bins
        self.run.log_histogram(tag, values, step=_whole(global_step), bins=bins if type(bins) is int else 64)

    @harmless
    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """Log an image; `dataformats` says which axis is what."""
        del walltime
        self.run.log_image(tag, _upright(img_tensor, dataformats), step=_whole(global_step))

    @harmless
    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Log a batch of images, each under its number."""
        del walltime
        for number, image in enumerate(img_tensor[:IMAGES_SHOWN]):
            upright = _upright(image, dataformats.replace("N", ""))
            self.run.log_image(f"{tag}/{number}", upright, step=_whole(global_step))

    @harmless
    def add_image_with_boxes(
        self,
        tag: str,
        img_tensor: Any,
        box_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        rescale: float = 1,
        dataformats: str = "CHW",
        labels: list[str] | None = None,
    ) -> None:
        """Log an image with boxes `x1, y1, x2, y2`, which stay data."""
        del walltime, rescale, labels
        image = _upright(img_tensor, dataformats)
        self.run.log_image(tag, image, step=_whole(global_step), boxes=box_tensor)

    @harmless
    def add_figure(
        self,
        tag: str,
        figure: Any,
        global_step: int | None = None,
        close: bool = True,
        walltime: float | None = None,
    ) -> None:
        """Log a matplotlib figure, or several; they are closed afterwards unless `close` is false."""
        del walltime
        figures = figure if isinstance(figure, (list, tuple)) else [figure]
        for number, one in enumerate(figures):
            name = tag if len(figures) == 1 else f"{tag}/{number}"
            self.run.log_figure(name, one, step=_whole(global_step))
            if close and hasattr(one, "savefig"):
                from matplotlib import pyplot

                pyplot.close(one)

    @harmless
    def add_text(
        self, tag: str, text_string: str, global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """Log a text."""
        del walltime
        self.run.log_text(tag, text_string, step=_whole(global_step))

    def __getattr__(self, name: str) -> Any:
        """Leave out what a run has no place for, and say so once."""
        if not name.startswith("add_"):
            raise AttributeError(f"SummaryWriter has no {name!r}")

        def left_out(*_: Any, **__: Any) -> None:
            say_once(("integration", name), f"SummaryWriter.{name} has no place in a run and is left out")

        return left_out

    # ---- The end -----------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Wait for the server, if there is one; what was logged is safe without that."""
        self.run.flush(self.run.settings.exit_timeout_s)

    def close(self) -> None:
        """End the run, if it is the writer's own."""
        if self._owned:
            self.run.finish()

    def get_logdir(self) -> str:
        """Return what was given as `log_dir`."""
        return self.log_dir

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owned:
            self.run.finish_with(error)


def _whole(step: Any) -> int | None:
    """Return a step that may be a tensor or a float, as PyTorch's class takes it."""
    return None if step is None else int(step)


def _upright(image: Any, axes: str) -> Any:
    """Return an image with its axes as (H, W) or (H, W, C)."""
    from deepevent.media import as_array

    array = as_array(image)
    axes = axes.upper()
    if array.ndim != len(axes) or set(axes) - set("HWC") or not {"H", "W"} <= set(axes):
        raise ValueError(f"an image of the axes {axes!r} cannot have the shape {array.shape}")
    return array.transpose([axes.index(axis) for axis in "HWC" if axis in axes])
