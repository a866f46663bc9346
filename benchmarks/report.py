"""Write the figures where people read them: a section per claim in `docs/benchmarks.md`, all rounds as JSON.

A section stands between markers, so a run of one claim leaves the others as they were.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.claim import Claim, Column, Outcome

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "benchmarks.md"
DATA = DOCS / "benchmarks.json"
PREFACE = """# Benchmarks

One command, `make bench`, measures DeepEvent and its peers in the same run: each peer in its own virtual
environment at a pinned release, the rounds alternated, each figure the median of its rounds. All rounds are
in [`benchmarks.json`](benchmarks.json). Figures that do not flatter us stay in.
"""


def table(claim: Claim, outcomes: Sequence[Outcome]) -> str:
    """Return a claim's figures as a Markdown table, ours first, with the budget above."""
    lines = [
        "| | " + " | ".join(column.title for column in claim.columns) + " |",
        "|---|" + "---:|" * len(claim.columns),
    ]
    if any(column.budget is not None for column in claim.columns):
        lines.append("| *budget* | " + " | ".join(_budget(column) for column in claim.columns) + " |")
    for outcome in outcomes:
        label = f"{outcome.subject} {outcome.version}".strip()
        if outcome.subject == "deepevent":
            label = f"**{label}**"
        if outcome.reason or not outcome.rounds:
            cells = [f"not measured: {outcome.reason}".replace("|", "/"), *[""] * (len(claim.columns) - 1)]
        else:
            cells = [_cell(column, outcome) for column in claim.columns]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdicts(claim: Claim, outcomes: Sequence[Outcome]) -> list[str]:
    """Return a sentence for each budget that does not hold."""
    ours = next((o for o in outcomes if o.subject == "deepevent" and o.rounds and not o.reason), None)
    if ours is None:
        return ["DeepEvent itself was not measured."]
    return [
        f"Over budget: {column.title} is {_cell(column, ours)}, the budget is {_budget(column)}."
        for column in claim.columns
        if not column.holds(ours.median(column.key))
    ]


def write(claim: Claim, outcomes: Sequence[Outcome], machine: dict[str, str]) -> None:
    """Put a claim's section into the page and its rounds into the data."""
    section = [f"## {claim.title}", "", claim.how.strip(), "", table(claim, outcomes), ""]
    section += [*verdicts(claim, outcomes), ""] if verdicts(claim, outcomes) else []
    n_rounds = max((len(outcome.rounds) for outcome in outcomes), default=0)
    section.append(
        f"<small>Median of {n_rounds} rounds · {' · '.join(f'{k} {v}' for k, v in machine.items())}</small>"
    )
    put_section(claim.name, "\n".join(section))
    _put_data(
        claim.name, {"machine": machine, "outcomes": [dataclasses.asdict(outcome) for outcome in outcomes]}
    )


def put_section(name: str, text: str) -> None:
    """Replace what stands between a claim's markers, or append it with its markers."""
    page = PAGE.read_text() if PAGE.is_file() else PREFACE
    start, stop = f"<!-- {name} -->", f"<!-- /{name} -->"
    block = f"{start}\n{text}\n{stop}"
    if start in page and stop in page:
        page = re.sub(re.escape(start) + ".*?" + re.escape(stop), lambda _: block, page, flags=re.DOTALL)
    else:
        page = page.rstrip("\n") + f"\n\n{block}\n"
    PAGE.write_text(page)


def _put_data(name: str, content: dict[str, object]) -> None:
    data = json.loads(DATA.read_text()) if DATA.is_file() else {}
    data[name] = content
    DATA.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")


def _budget(column: Column) -> str:
    if column.budget is None:
        return ""
    return f"{'≥' if column.higher_is_better else '≤'} {column.budget:,.{column.digits}f}"


def _cell(column: Column, outcome: Outcome) -> str:
    return f"{outcome.median(column.key):,.{column.digits}f}"
