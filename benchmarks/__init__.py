"""One file per claim of the README's tables, each measured beside the peers in the same run.

`python -m benchmarks` runs them all and writes `docs/benchmarks.md`; `python -m benchmarks NAME…` runs some.
"""
