"""Tables of the training server: jobs, agents, sweeps. Read them as `schema.jobs` and so on."""

from __future__ import annotations

import sqlalchemy as sa

from deepevent.store.columns import ID_LENGTH, LONG, NAME_LENGTH, Real, metadata

# The training server: jobs, who runs them, and what was done to them (states and rules: store/leases.py).
agents = sa.Table(
    "agents",
    metadata,
    sa.Column("id", sa.String(ID_LENGTH), primary_key=True),
    sa.Column("name", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("host", sa.String(NAME_LENGTH)),
    sa.Column("slots", sa.Integer, nullable=False),
    sa.Column("cpus", sa.Integer, nullable=False),
    sa.Column("gpus", sa.Integer, nullable=False),
    sa.Column("memory_mb", sa.BigInteger, nullable=False),
    sa.Column("allow_commands", sa.Boolean, nullable=False),
    sa.Column("draining", sa.Boolean, nullable=False),
    sa.Column("token_id", sa.BigInteger),  # only the token that registered an agent speaks for it
    sa.Column("registered", sa.Double, nullable=False),
    sa.Column("last_seen", sa.Double, nullable=False),
    sa.Column("left", sa.Double),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Index(None, "revision"),
)

agent_recipes = sa.Table(
    "agent_recipes",
    metadata,
    sa.Column(
        "agent_id", sa.String(ID_LENGTH), sa.ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("name", sa.String(NAME_LENGTH), primary_key=True),
    sa.Column("definition", sa.Text, nullable=False),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", LONG, primary_key=True),
    sa.Column("name", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("project", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("recipe", sa.String(NAME_LENGTH)),  # null: a free command
    sa.Column("command", sa.Text),  # a JSON array of arguments
    sa.Column("folder", sa.Text),  # where a free command wants to run
    sa.Column("parameters", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),  # higher goes first
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("exit_code", sa.Integer),
    sa.Column("max_retries", sa.Integer, nullable=False),
    sa.Column("retries_left", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False),  # rises whenever somebody else takes over
    sa.Column("agent_id", sa.String(ID_LENGTH), sa.ForeignKey("agents.id", ondelete="SET NULL")),
    sa.Column("lease_expires", sa.Double),
    sa.Column("not_before", sa.Double, nullable=False),
    sa.Column("run_id", sa.String(ID_LENGTH), nullable=False),  # all attempts log to one run
    sa.Column("group", sa.String(NAME_LENGTH)),  # of that run
    sa.Column("stop_requested", sa.Boolean, nullable=False),
    sa.Column("cpus", sa.Integer, nullable=False),
    sa.Column("gpus", sa.Integer, nullable=False),
    sa.Column("memory_mb", sa.BigInteger),
    sa.Column("time_limit_s", sa.Double),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("created_by", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("started", sa.Double),
    sa.Column("finished", sa.Double),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Index(None, "state", "priority", "id"),
    sa.Index(None, "state", "lease_expires"),
    sa.Index(None, "run_id"),
    sa.Index(None, "revision"),
    sqlite_autoincrement=True,
)

job_dependencies = sa.Table(
    "job_dependencies",
    metadata,
    sa.Column(
        "job_id", LONG, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    sa.Column(
        "after_id", LONG, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    sa.Index(None, "after_id"),
)

job_attempts = sa.Table(
    "job_attempts",
    metadata,
    sa.Column(
        "job_id", LONG, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    sa.Column("fence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("agent_id", sa.String(ID_LENGTH), nullable=False),
    sa.Column("agent", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("exit_code", sa.Integer),
    sa.Column("claimed", sa.Double, nullable=False),
    sa.Column("started", sa.Double),
    sa.Column("finished", sa.Double),
)

job_audit = sa.Table(
    "job_audit",
    metadata,
    sa.Column("id", LONG, primary_key=True),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("job_id", sa.BigInteger, index=True),
    sa.Column("actor", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

# One row.
queue = sa.Table(
    "queue",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
)

# Sweeps: many jobs of one recipe, whose parameters a sampler chooses (rules: store/sweeps.py).
sweeps = sa.Table(
    "sweeps",
    metadata,
    sa.Column("id", LONG, primary_key=True),
    sa.Column("name", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("project", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("recipe", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("parameters", sa.Text, nullable=False),  # those that all trials share
    sa.Column("space", sa.Text, nullable=False),
    sa.Column("metric", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("direction", sa.String(8), nullable=False),  # min, max
    sa.Column("sampler", sa.String(16), nullable=False),
    sa.Column("pruner", sa.String(16), nullable=False),
    sa.Column("warmup", sa.Integer, nullable=False),  # values of a trial before it may be stopped
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("n_trials", sa.Integer, nullable=False),
    sa.Column("concurrency", sa.Integer, nullable=False),
    sa.Column("max_retries", sa.Integer, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("resources", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column(
        "version", sa.BigInteger, nullable=False
    ),  # rises with every change: who decided on an older one, decides again
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("created_by", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("finished", sa.Double),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Index(None, "revision"),
    sqlite_autoincrement=True,
)

sweep_trials = sa.Table(
    "sweep_trials",
    metadata,
    sa.Column(
        "sweep_id",
        LONG,
        sa.ForeignKey("sweeps.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),  # 0, 1, … without gaps
    sa.Column("job_id", LONG, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("parameters", sa.Text, nullable=False),  # those that are searched
    sa.Column("source", sa.String(16), nullable=False),  # sampler, person
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("value", Real),  # the best of its metric so far
    sa.Column(
        "n_points", sa.BigInteger, nullable=False
    ),  # points of the metric that are in value and reports
    sa.Column("reports", sa.Text, nullable=False),  # {n: the metric's n-th value}, thinned
    sa.Column("n_judged", sa.BigInteger, nullable=False),  # up to which the pruner has seen them
    sa.Column("pruned_at", sa.BigInteger),  # the n-th value, after which it was stopped
    sa.Column("attributes", sa.Text, nullable=False),  # what sampler and pruner remember of it
    sa.Column("finished", sa.Double),
    sa.UniqueConstraint("job_id"),
)
