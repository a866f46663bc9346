"""The written report: a table, a figure and a sentence for every question, made of what was measured.

Sentences are drawn from the figures and never say more than the seeds' spread allows. Knows results; trains
and asks nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from deepevent_trainer.experiments.cascades import Row
from deepevent_trainer.experiments.catalogue import CASCADES, Experiment, Size
from deepevent_trainer.experiments.trials import Result

# Measures of which less is better.
_FALLING = ("loss", "false_positive", "error", "processor_ms")


def write_report(
    path: Path,
    facts: Sequence[str],
    size: Size,
    nets: Sequence[tuple[Experiment, Sequence[Result]]],
    cascades: Sequence[tuple[str, Sequence[Row]]],
) -> None:
    """Write the report as Markdown to `path`, and its figures beside it.

    Args:
        path: of the Markdown file; figures go into a folder of the same name.
        facts: lines about data, machine and command, for the top.
        size: how much was trained.
        nets: experiments with the results of their trials.
        cascades: questions to the cascade with the settings tried.
    """
    figures = path.with_suffix("")
    figures.mkdir(parents=True, exist_ok=True)
    seeds = (
        "one seed, so that no spread is known" if size.seeds == 1 else f"mean ± spread of {size.seeds} seeds"
    )
    lines = ["# Experiments", "", *facts, "", f"Figures are {seeds}, on photographs that were held out.", ""]
    for experiment, results in nets:
        lines += _of_nets(experiment, results, figures)
    for name, rows in cascades:
        lines += _of_cascade(name, rows)
    path.write_text("\n".join(lines).rstrip() + "\n")


def verdict(measure: str, first: Sequence[float], other: Sequence[float]) -> str:
    """Return whether `other` is better than `first`, as far as their spread lets one say so."""
    difference = statistics.fmean(other) - statistics.fmean(first)
    better = difference < 0 if any(word in measure for word in _FALLING) else difference > 0
    told = f"{abs(difference):.4f} {'better' if better else 'worse'}"
    if len(first) < 2 or len(other) < 2:
        return f"{told} (one seed: not certain)"
    # Twice the standard error of the difference of two means.
    doubt = 2 * math.sqrt(statistics.variance(first) / len(first) + statistics.variance(other) / len(other))
    if abs(difference) <= doubt:
        return f"no difference beyond the seeds' spread ({told}, ±{doubt:.4f})"
    return f"{told} (±{doubt:.4f})"


def _of_nets(experiment: Experiment, results: Sequence[Result], figures: Path) -> list[str]:
    by_key: dict[str, list[Result]] = {}
    for result in results:
        by_key.setdefault(result.trial.key, []).append(result)
    short = [measure.removeprefix("val/") for measure in experiment.measures]
    lines = [f"## {experiment.name}", "", f"{experiment.question}", ""]
    lines += ["| | " + " | ".join(short) + " |", "|---|" + "---:|" * len(short)]
    measured: dict[str, list[list[float]]] = {}
    for label, trial in experiment.trials:
        of_trial = by_key.get(trial.key, [])
        values = [[r.measures[m] for r in of_trial if m in r.measures] for m in experiment.measures]
        measured[label] = values
        lines.append(f"| {label} | " + " | ".join(_told(some) for some in values) + " |")
    lines.append("")
    first_label = experiment.trials[0][0]
    for label, _ in experiment.trials[1:]:
        before = _counterpart(label, experiment) or first_label
        first, other = measured[before][0], measured[label][0]
        if first and other:
            lines.append(f"- {label} against {before}: {short[0]} {verdict(short[0], first, other)}.")
    figure = figures / f"{experiment.name}.png"
    _draw(figure, short[0], {label: values[0] for label, values in measured.items()})
    lines += ["", f"![{experiment.name}]({figures.name}/{figure.name})", ""]
    return lines


def _counterpart(label: str, experiment: Experiment) -> str | None:
    """Return the first trial of the same net, which is what this one is fairly held against."""
    net = label.partition(",")[0]
    for other, _ in experiment.trials:
        if other == label:
            return None
        if other.partition(",")[0] == net:
            return other
    return None


def _of_cascade(name: str, rows: Sequence[Row]) -> list[str]:
    measures = [m for m in rows[0].measures if not m.startswith("windows/")] if rows else []
    lines = [f"## {name}", "", CASCADES[name], ""]
    lines += ["| | " + " | ".join(measures) + " |", "|---|" + "---:|" * len(measures)]
    for row in rows:
        cells = " | ".join(_told([row.measures[m]]) if m in row.measures else "" for m in measures)
        lines.append(f"| {row.label} | {cells} |")
    left = [(row.label, _windows(row)) for row in rows]
    if name == "levels":
        lines += ["", "Windows left a photograph behind each stage:", ""]
        lines += [f"- {label}: {told}" for label, told in left]
    return [*lines, ""]


def _windows(row: Row) -> str:
    stages = {k.removeprefix("windows/"): v for k, v in row.measures.items() if k.startswith("windows/")}
    return ", ".join(f"{name} {count:.1f}" for name, count in stages.items())


def _told(values: Sequence[float]) -> str:
    if not values:
        return "not measured"
    mean = statistics.fmean(values)
    digits = 4 if abs(mean) < 10 else 1
    if len(values) == 1:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def _draw(path: Path, measure: str, values: dict[str, list[float]]) -> None:
    """Draw every seed as a point and the mean as a line."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 0.6 + 0.5 * len(values)), layout="constrained")
    for row, (_, some) in enumerate(values.items()):
        axes.scatter(some, [row] * len(some), color="#1f77b4", zorder=2)
        if some:
            axes.plot([statistics.fmean(some)] * 2, [row - 0.3, row + 0.3], color="#333333", zorder=1)
    axes.set_yticks(range(len(values)), list(values))
    axes.invert_yaxis()
    axes.set_xlabel(measure)
    axes.grid(axis="x", color="#dddddd")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
