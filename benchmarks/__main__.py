"""`python -m benchmarks [NAME…]`: measure the claims, print the tables, write them into `docs/`."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from pathlib import Path

from benchmarks import environments, machine, report
from benchmarks.claim import Claim, run_claim

FRAME = {"__init__", "__main__", "claim", "detector_peers", "environments", "library", "machine"}
FRAME |= {"playing", "report"}
SCRIPT_LIMIT_S = 900


def names() -> list[str]:
    """Return every file of this folder that measures something."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem not in FRAME)


def main() -> int:
    """Run what was asked for and return 0 if every budget held, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"any of: {', '.join(names())}; default: all"
    )
    parser.add_argument("--rounds", type=int, default=5, help="alternated rounds a claim (default 5)")
    parser.add_argument(
        "--peers", default=",".join(environments.PINS), help="which peers, by comma; '' for none"
    )
    parser.add_argument("--prepare", action="store_true", help="only make the peers' environments")
    parser.add_argument(
        "--quick", action="store_true", help="one round; the short form of measurements that have one"
    )
    parser.add_argument("--dry", action="store_true", help="print the tables and write nothing")
    args = parser.parse_args()
    peers = [name for name in args.peers.split(",") if name]
    unknown = [*(set(args.names) - set(names())), *(set(peers) - set(environments.PINS))]
    if unknown:
        parser.error(f"nothing is called {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    if args.prepare:
        for name in peers:
            print(environments.prepare(name))
        return 0

    measured_on = machine.describe()
    print(" · ".join(f"{key} {value}" for key, value in measured_on.items()))
    missed: list[str] = []
    for name in args.names or names():
        claim = getattr(importlib.import_module(f"benchmarks.{name}"), "CLAIM", None)
        if isinstance(claim, Claim):
            print(f"\n## {claim.title}")
            outcomes = run_claim(claim, peers, 1 if args.quick else args.rounds)
            print(report.table(claim, outcomes))
            problems = report.verdicts(claim, outcomes)
            if not args.dry:
                report.write(claim, outcomes, measured_on)
        else:
            problems = run_script(name, measured_on, quick=args.quick, dry=args.dry)
        print(*problems, sep="\n")
        missed += [f"{name}: {problem}" for problem in problems]
    print("\nEvery budget holds." if not missed else "\n" + "\n".join(missed))
    return int(bool(missed))


def run_script(name: str, measured_on: dict[str, str], *, quick: bool, dry: bool) -> list[str]:
    """Run a measurement that prints its own figures and put what it printed into the page.

    Its module may say more: `TITLE` of the section, `MARKDOWN` if it prints that, `LIMIT_S` of its run,
    `QUICK` if it takes `--quick`.
    """
    print(f"\n## {name}")
    module = importlib.import_module(f"benchmarks.{name}")
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    command += ["--quick"] if quick and getattr(module, "QUICK", False) else []
    limit_s: float = getattr(module, "LIMIT_S", SCRIPT_LIMIT_S)
    script = subprocess.run(command, capture_output=True, text=True, timeout=limit_s)
    print(script.stdout, end="")
    if script.returncode != 0:
        return [(script.stderr.strip().splitlines() or ["it failed without a message"])[-1]]
    if script.stdout.startswith("not measured"):  # what was measured before stays in the page
        return []
    missed = [line for line in script.stdout.splitlines() if line.startswith("MISSED")]
    if not dry:
        title = getattr(module, "TITLE", name.replace("_", " ").capitalize())
        doc = (module.__doc__ or name).strip().splitlines()[0]
        text = script.stdout.strip()
        text = text if getattr(module, "MARKDOWN", False) else f"```\n{text}\n```"
        context = " · ".join(f"{key} {value}" for key, value in measured_on.items())
        report.put_section(name, f"## {title}\n\n{doc}\n\n{text}\n\n<small>{context}</small>")
    return missed


if __name__ == "__main__":
    sys.exit(main())
