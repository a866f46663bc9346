"""The shapes of what the API answers, as types: the one place that says which fields a Run or a Job has.

`openapi` makes its schemas from them, and the tests hold every answer that they see against those schemas.
Field for field they are what the store's functions return; docs/api.md tells what the fields mean.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from deepevent_web.shapes import As

Number = Annotated[float, As({"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]})]
"""A number as a script logged it, which need not be finite."""
Whole = Annotated[
    int, As({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^-?[0-9]{16,19}$"}]})
]
"""An integer of up to 64 bits; beyond 2**53 it comes as text."""
Id = Annotated[str, As({"type": "string", "pattern": "^[0-9a-hjkmnp-tv-z]{26}$"})]
Sha256 = Annotated[str, As({"type": "string", "pattern": "^[0-9a-f]{64}$"})]
Status = Literal["running", "completed", "failed", "stopped", "lost"]
Level = Literal["info", "warning", "error"]
JobState = Literal["queued", "claimed", "running", "completed", "failed", "stopped", "lost"]


class Trashed(TypedDict):
    """When a run was put into the trash, and by whom."""

    time: float
    by: str


class Metric(TypedDict):
    """What is known of one metric of one rank without its points."""

    name: str
    rank: int
    n: int
    first_step: Whole
    last_step: Whole
    last: Number
    last_time: Number
    min: Number
    min_step: Whole | None
    max: Number
    max_step: Whole | None
    n_nan: int
    n_positive_infinity: int
    n_negative_infinity: int


class Run(TypedDict):
    """A run as lists show it."""

    id: Id
    name: str
    project: str
    status: Status
    group: str | None
    tags: list[str]
    notes: str
    created: Number
    started: Number | None
    finished: Number | None
    heartbeat: Number | None
    duration_s: Number
    host: str | None
    archived: bool
    trashed: Trashed | None
    config: dict[str, Any]
    summary: dict[str, Any]
    metrics: dict[str, Metric]
    n_media: int
    n_logs: int


class Writer(TypedDict):
    """A process that logs to a run."""

    id: str
    rank: int
    host: str | None
    pid: Whole | None
    last_sequence: Whole
    clock_offset_s: Number
    first_seen: Number
    last_seen: Number
    finished: str | None


class WholeRun(Run):
    """A run with all its parts."""

    environment: dict[str, Any]
    traceback: str | None
    stop_requested: bool
    n_dropped: int
    metric_limit_reached: bool
    writers: list[Writer]


class Differences(TypedDict):
    """What is not the same in all compared runs, by dotted key and run."""

    config: dict[str, dict[str, Any]]
    packages: dict[str, dict[str, Any]]
    git: dict[str, dict[str, Any]]
    command: dict[str, dict[str, Any]]


class Media(TypedDict):
    """An image, detections, a histogram, a text, a figure or a table."""

    id: int
    run: Id
    kind: Literal["image", "detections", "histogram", "text", "figure", "table"]
    name: str
    step: Whole
    epoch: Number | None
    time: Number
    blob: Sha256 | None
    mime: str | None
    data: Any


class Line(TypedDict):
    """A line that a run printed."""

    index: int
    stream: Literal["stdout", "stderr"]
    text: str
    time: Number


class Artifact(TypedDict):
    """A file of a run."""

    id: int
    run: Id
    name: str
    kind: str
    blob: Sha256 | None
    size_bytes: Whole
    path: str
    time: Number


class Alert(TypedDict):
    """Something that a script or a rule wants people to know."""

    id: int
    run: Id
    title: str
    text: str
    level: Level
    time: Number


class NamedAlert(Alert):
    """An alert with its run's name and project."""

    run_name: str
    project: str


class AlertRule(TypedDict):
    """What a person wants to be told."""

    id: int
    project: str | None
    kind: Literal["non_finite", "stalled", "above", "lost", "finished"]
    metric: str | None
    bound: float | None
    patience: int | None
    goal: Literal["min", "max"] | None
    level: Level
    created: float
    created_by: str
    seen: int


class Delivery(TypedDict):
    """How the last alert went to a webhook."""

    alert_id: int
    state: str
    attempts: int
    due: float
    answer: str


class Webhook(TypedDict):
    """Where alerts are sent; with its secret once, when it is made."""

    id: int
    url: str
    project: str | None
    created: float
    created_by: str
    last: Delivery | None
    secret: NotRequired[str]


class GroupMetric(TypedDict):
    """Mean and spread of a metric over a group."""

    metric: str
    what: Literal["last", "min", "max"]
    mean: Number | None
    deviation: Number | None
    min: Number | None
    max: Number | None
    n: int
    n_nonfinite: int


class Group(TypedDict):
    """Runs that have a key in common."""

    key: str | Number | None
    filter: str
    n: int
    runs: list[Id]
    statuses: dict[str, int]
    metrics: list[GroupMetric]


class Names(TypedDict):
    """What a filter can name."""

    config: list[str]
    summary: list[str]
    metrics: list[str]
    tags: list[str]
    projects: list[str]
    groups: list[str]


class Nonfinite(TypedDict):
    """A point of a curve whose value is no finite number."""

    x: Number
    step: Whole
    value: Number


class Curve(TypedDict):
    """A curve with its columns."""

    run: Id
    metric: str
    rank: int
    n_points: int
    thinned: bool
    columns: list[Literal["x", "step", "value", "smooth", "mean"]]
    length: int
    nonfinite: list[Nonfinite]
    n_nonfinite: int
    x: list[Number]
    step: list[Whole]
    value: list[Number]
    smooth: NotRequired[list[Number]]
    mean: NotRequired[list[Number]]


class After(TypedDict):
    """A job that another one waits for."""

    id: int
    state: JobState


class OfSweep(TypedDict):
    """Which trial of which sweep a job is."""

    id: int
    trial: int
    pruned: bool


class Held(TypedDict):
    """What a job holds while it runs."""

    cpus: int
    gpus: int
    memory_mb: int | None
    time_limit_s: float | None


class Job(TypedDict):
    """A job of the queue."""

    id: int
    name: str
    project: str
    group: str | None
    sweep: OfSweep | None
    recipe: str | None
    command: list[str] | None
    folder: str | None
    parameters: dict[str, Any]
    priority: int
    state: JobState
    reason: str
    exit_code: int | None
    attempt: int
    max_retries: int
    retries_left: int
    stop_requested: bool
    after: list[After]
    run: Id
    agent: str | None
    resources: Held
    created: float
    created_by: str
    started: float | None
    finished: float | None
    not_before: float


class Attempt(TypedDict):
    """One time that a job was begun."""

    attempt: int
    fence: int
    agent: str
    state: str
    reason: str
    exit_code: int | None
    claimed: float
    started: float | None
    finished: float | None


class Entry(TypedDict):
    """A line of the audit log."""

    id: int
    time: float
    job_id: int | None
    actor: str
    action: str
    detail: str


class WholeJob(Job):
    """A job with its attempts and what was done to it."""

    attempts: list[Attempt]
    history: list[Entry]


class Agent(TypedDict):
    """Who takes jobs."""

    id: Id
    name: str
    host: str | None
    slots: int
    cpus: int
    gpus: int
    memory_mb: int
    allow_commands: bool
    draining: bool
    registered: float
    last_seen: float
    left: float | None
    alive: bool
    recipes: list[str]


class Offer(TypedDict):
    """A recipe, and who offers it."""

    name: str
    recipe: dict[str, Any]
    agents: list[str]
    alive: bool


class Dimension(TypedDict):
    """What a sweep may choose a parameter from."""

    type: Literal["int", "float", "choice"]
    low: NotRequired[Number]
    high: NotRequired[Number]
    log: NotRequired[bool]
    step: NotRequired[Number]
    choices: NotRequired[list[Any]]


class Trial(TypedDict):
    """One job of a sweep."""

    number: int
    job: int
    run: Id | None
    state: Literal["waiting", "running", "completed", "pruned", "failed", "stopped"]
    stopping: bool
    reason: str
    source: Literal["sampler", "person"]
    parameters: dict[str, Any]
    value: Number | None
    n_values: int
    pruned_at: int | None
    created: float
    started: float | None
    finished: float | None


class Counts(TypedDict):
    """How many trials are in which state."""

    waiting: int
    running: int
    completed: int
    pruned: int
    failed: int
    stopped: int


class Sweep(TypedDict):
    """A search over a recipe's parameters."""

    id: int
    name: str
    project: str
    group: str
    recipe: str
    parameters: dict[str, Any]
    space: dict[str, Dimension]
    metric: str
    direction: Literal["min", "max"]
    sampler: Literal["tpe", "random", "grid"]
    pruner: Literal["asha", "median", "hyperband", "none"]
    warmup: int
    seed: int
    n_trials: int
    concurrency: int
    max_retries: int
    priority: int
    state: Literal["running", "completed", "stopped", "failed"]
    reason: str
    counts: Counts
    best: Trial | None
    created: float
    created_by: str
    finished: float | None


class WholeSweep(Sweep):
    """A sweep with its trials."""

    trials: list[Trial]


class View(TypedDict):
    """A name for an address of the dashboard."""

    id: Id
    name: str
    address: str
    created: float
    created_by: str
    changed: float
