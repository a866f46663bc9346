"""`/sweeps`: searches over a recipe's parameters, whose trials are jobs.

Checked here is what a person asks for, against the recipe that an agent offers; what is chosen and pruned
afterwards is the driver's business.
"""

from __future__ import annotations

from typing import Any

from flask import Response

from deepevent.errors import ParametersInvalid
from deepevent.recipes import Recipe, check_parameters
from deepevent.search_space import MAX_GRID, Space, check_values, grid_size, read_space, restore
from deepevent.store import sweep_rounds, sweeps
from deepevent.store.sweeps import Plan
from deepevent_web.answers import Sweep, Trial, WholeSweep
from deepevent_web.api.jobs import MAX_PRIORITY, MAX_RETRIES, find_recipe
from deepevent_web.fields import Fields, Query, json_body
from deepevent_web.optimiser import MISSING, Optimiser, installed
from deepevent_web.problems import Problem, not_found
from deepevent_web.routes import Answer, Body, Noun
from deepevent_web.serialise import answer
from deepevent_web.services import principal, services
from deepevent_web.sweep_driver import known, search_of

noun = Noun("sweeps")
MAX_PAGE = 200
MAX_WARMUP = 1_000_000
MAX_SWEEP_DIGITS = 15
BODY = Body(limit_bytes=256 * 1024)
SMALL = Body(limit_bytes=16 * 1024)
EMPTY = Body(limit_bytes=1024, optional=True)


@noun.route(
    "GET",
    "/sweeps",
    role="viewer",
    summary="List sweeps, the newest first",
    query={"limit": "1 to 200", "before": "`next` of the page before"},
    answers={
        200: Answer("a page", {"sweeps": list[Sweep], "next": int | None, "available": bool, "revision": int})
    },
)
def index() -> Response:
    """List sweeps."""
    query = Query()
    limit = query.count("limit", 100, low=1, high=MAX_PAGE)
    before = query.count("before", 0)
    query.done()
    page = sweeps.list_sweeps(services().db, limit=limit, before=before or None)
    said = {"sweeps": page.sweeps, "next": page.next, "available": installed(), "revision": page.revision}
    return answer(said)


@noun.route(
    "POST",
    "/sweeps",
    role="operator",
    summary="Begin a sweep over a recipe's parameters",
    body=BODY,
    answers={
        201: Answer("the Sweep", Sweep),
        422: "no such recipe, or a space that does not fit it",
        501: "the server has no Optuna",
    },
    adds=True,
)
def create() -> Response:
    """Begin a sweep."""
    if not installed():
        raise Problem(501, MISSING)
    fields = Fields(json_body())
    name = fields.name("recipe")
    parameters = fields.mapping("parameters", {})
    space = fields.mapping("space")
    given: dict[str, Any] = {
        "metric": fields.name("metric", None),
        "direction": fields.choice("direction", sweeps.DIRECTIONS, None),
        "name": fields.name("name", None),
        "project": fields.name("project", "default"),
        "sampler": fields.choice("sampler", sweeps.SAMPLERS, "tpe"),
        "pruner": fields.choice("pruner", sweeps.PRUNERS, "none"),
        "warmup": fields.integer("warmup", 1, low=1, high=MAX_WARMUP),
        "seed": fields.integer("seed", None, high=2**32 - 1),
        "n_trials": fields.integer("n_trials", 20, low=1, high=sweeps.MAX_TRIALS),
        "concurrency": fields.integer("concurrency", 1, low=1, high=sweeps.MAX_CONCURRENCY),
        "max_retries": fields.integer("max_retries", 1, high=MAX_RETRIES),
        "priority": fields.integer("priority", 0, low=-MAX_PRIORITY, high=MAX_PRIORITY),
    }
    fields.done()
    recipe = find_recipe(name)
    given["metric"], given["direction"] = _metric(recipe, given["metric"], given["direction"])
    dimensions = _read_space(recipe, space, parameters)
    _check_grid(given["sampler"], dimensions)
    plan = Plan(recipe, _fixed(recipe, dimensions, parameters), dimensions, **given)
    return answer(sweeps.create(services().db, plan, principal().name), 201)


@noun.route(
    "GET",
    "/sweeps/<sweep>",
    role="viewer",
    summary="Show a sweep with its trials",
    answers={200: Answer("the Sweep with its trials", WholeSweep)},
)
def show(sweep: str) -> Response:
    """Show a sweep."""
    return answer(sweeps.get_sweep(services().db, _number(sweep)))


@noun.route(
    "GET",
    "/sweeps/<sweep>/importance",
    role="viewer",
    summary="How much each parameter decides over being among the best",
    answers={
        200: Answer(
            "shares by parameter; none while too few trials have a value", {"importance": dict[str, float]}
        )
    },
)
def importance(sweep: str) -> Response:
    """Weigh the parameters."""
    snapshot = sweep_rounds.read(services().db, _number(sweep))
    if not installed():
        raise Problem(501, MISSING)
    optimiser = Optimiser(
        search_of(snapshot.sweep, snapshot.space), [known(trial) for trial in snapshot.trials]
    )
    return answer({"importance": optimiser.importance()})


@noun.route(
    "PATCH",
    "/sweeps/<sweep>",
    role="operator",
    summary="Extend a sweep, or change how many trials run at once",
    body=SMALL,
    answers={
        200: Answer("the Sweep", Sweep),
        409: "fewer trials than there are, or more than the grid has points",
    },
)
def update(sweep: str) -> Response:
    """Change a sweep."""
    fields = Fields(json_body())
    n_trials = fields.integer("n_trials", None, low=1, high=sweeps.MAX_TRIALS)
    concurrency = fields.integer("concurrency", None, low=1, high=sweeps.MAX_CONCURRENCY)
    if n_trials is None and concurrency is None:
        fields.wrong("n_trials", "or concurrency must be given")
    fields.done()
    who = principal().name
    return answer(
        sweeps.change_plan(services().db, _number(sweep), who, n_trials=n_trials, concurrency=concurrency)
    )


@noun.route(
    "POST",
    "/sweeps/<sweep>/stop",
    role="operator",
    summary="Begin no more trials and stop those that are at work",
    body=EMPTY,
    answers={202: Answer("the Sweep", Sweep)},
)
def stop(sweep: str) -> Response:
    """Stop a sweep."""
    return answer(sweeps.stop(services().db, _number(sweep), principal().name), 202)


@noun.route(
    "POST",
    "/sweeps/<sweep>/trials",
    role="operator",
    summary="Queue one more trial, with parameters of one's own",
    body=BODY,
    answers={
        201: Answer("the Trial", Trial),
        409: "the sweep has as many trials as it may",
        422: "outside of the space",
    },
    adds=True,
)
def add_trial(sweep: str) -> Response:
    """Add a trial."""
    fields = Fields(json_body())
    parameters = fields.mapping("parameters")
    fields.done()
    here = services()
    found = sweeps.get_sweeps(here.db, [_number(sweep)])
    if not found:
        raise not_found("the sweep")
    recipe = find_recipe(found[0]["recipe"])
    try:
        checked = check_values(recipe, restore(found[0]["space"]), parameters)
    except ParametersInvalid as error:
        raise _wrong("parameters", error) from None
    return answer(sweeps.add_trial(here.db, found[0]["id"], checked, principal().name), 201)


def _metric(recipe: Recipe, metric: str | None, direction: str | None) -> tuple[str, str]:
    """Take what is not said from the recipe's own `metric`, such as `val/accuracy:max`."""
    own, _, way = (recipe.metric or "").rpartition(":")
    if way not in sweeps.DIRECTIONS:
        own, way = recipe.metric or "", ""
    if metric is None and not own:
        detail = f"is required: the recipe {recipe.name!r} names none"
        raise Problem(422, f"metric {detail}", errors=[{"field": "metric", "detail": detail}])
    if metric is None:
        metric = own
    if direction is None and not (metric == own and way):
        detail = "must be min or max"
        raise Problem(422, f"direction {detail}", errors=[{"field": "direction", "detail": detail}])
    return metric, direction or way


def _read_space(recipe: Recipe, tables: dict[str, Any], parameters: dict[str, Any]) -> Space:
    try:
        space = read_space(recipe, tables)
    except ParametersInvalid as error:
        raise _wrong("space", error) from None
    if both := [name for name in space if name in parameters]:
        detail = "is searched: it cannot have a value for all trials too"
        field = f"parameters.{both[0]}"
        raise Problem(422, f"{field} {detail}", errors=[{"field": field, "detail": detail}])
    return space


def _check_grid(sampler: str, space: Space) -> None:
    if sampler != "grid":
        return
    size = grid_size(space)
    if size is None:
        wrong = [name for name, dimension in space.items() if grid_size({name: dimension}) is None]
        detail = "needs choices or a step for a grid"
        raise Problem(
            422,
            f"space.{wrong[0]} {detail}",
            errors=[{"field": f"space.{name}", "detail": detail} for name in wrong],
        )
    if size > MAX_GRID:
        detail = f"makes a grid of {size} points, and {MAX_GRID} are allowed"
        raise Problem(422, f"space {detail}", errors=[{"field": "space", "detail": detail}])


def _fixed(recipe: Recipe, space: Space, parameters: dict[str, Any]) -> dict[str, Any]:
    """Check what all trials share, together with a point of the space, and give it with the defaults."""
    point = {name: (dimension.choices or (dimension.low,))[0] for name, dimension in space.items()}
    point = {name: int(v) if space[name].whole else v for name, v in point.items()}
    try:
        checked = check_parameters(recipe, {**parameters, **point}, patterns=False)
    except ParametersInvalid as error:
        raise _wrong("parameters", error) from None
    return {name: value for name, value in checked.items() if name not in space}


def _wrong(where: str, error: ParametersInvalid) -> Problem:
    wrong = [
        {"field": where if name == where else f"{where}.{name}", "detail": text}
        for name, text in error.problems.items()
    ]
    return Problem(422, str(error), errors=wrong)


def _number(sweep: str) -> int:
    if sweep.isascii() and sweep.isdigit() and len(sweep) <= MAX_SWEEP_DIGITS:
        return int(sweep)
    raise not_found("the sweep")
