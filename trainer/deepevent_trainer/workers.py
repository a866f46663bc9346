"""The agent's loop: claim jobs while there is room, keep their leases, report their ends.

A thread claims, one keeps leases, one tells the supervisors that the agent lives, and each job has one.
Without a server jobs go on; their ends wait on disk, over a restart of the agent too. A lease that is lost
ends its job here and reports nothing: somebody else has it.

Knows the HTTP API and the engine's protocol, not how processes are run.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deepevent.errors import DeepEventError, ServerRefused, ServerUnreachable
from deepevent.recipes import Recipe, Resources, describe, place_roots
from deepevent.serverapi import ServerApi
from deepevent.settings import Settings
from deepevent_trainer.engines import Engine, Execution, Outcome
from deepevent_trainer.outbox import Outbox, open_folder
from deepevent_trainer.output import OutputLog
from deepevent_trainer.runlog import RunLog
from deepevent_trainer.tasks import make_task

WAIT_S = 10.0
RETRY_S = 1.0
MAX_RETRY_S = 15.0


@dataclass(frozen=True)
class Offer:
    """What this agent has to give."""

    name: str
    slots: int
    cpus: int
    gpus: tuple[int, ...]
    memory_mb: int
    allow_commands: bool
    recipes: Mapping[str, Recipe]
    data: str = "~"


@dataclass
class Held:
    """A job that this agent holds."""

    job: dict[str, Any]
    fence: int
    agent: str
    token: str
    resources: Resources
    gpus: tuple[int, ...]
    execution: Execution | None = None
    stop_wanted: bool = False
    lost: bool = False
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def body(self) -> dict[str, Any]:
        """What every word about the job carries."""
        return {"agent": self.agent, "fence": self.fence}


class Agent:
    """See the module's description."""

    def __init__(
        self, api: ServerApi, engine: Engine, offer: Offer, settings: Settings, *, grace_s: float = 20.0
    ) -> None:
        self._api = api
        self._engine = engine
        self._settings = settings
        self._grace_s = grace_s
        self._folder = open_folder(settings.home, offer.name)
        places = {"data": offer.data, "jobs": str(self._folder / "jobs")}
        recipes = {name: place_roots(recipe, places) for name, recipe in offer.recipes.items()}
        self._offer = replace(offer, recipes=recipes)
        self._outbox = Outbox(self._folder)
        self._id = ""
        self._lease_s = 30.0
        self._held: dict[int, Held] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()

    def run(self) -> int:
        """Work until `stop`; then end all jobs, report them and leave."""
        threads = [
            threading.Thread(target=self._claim_while_room, name="claims", daemon=True),
            threading.Thread(target=self._keep_leases, name="leases", daemon=True),
            threading.Thread(target=self._beat, name="beat", daemon=True),
            threading.Thread(target=self._send_outbox, name="outbox", daemon=True),
        ]
        for thread in threads:
            thread.start()
        self._stopping.wait()
        self._end_all()
        self._engine.close()
        try:
            self._outbox.send(self._api)
            if self._id:
                self._api.call("DELETE", f"/agents/{self._id}")
        except DeepEventError as error:
            _say(f"left without a word to the server: {error}")
        return 0

    def stop(self) -> None:
        """Take no more jobs, end those that run, and let `run` return."""
        self._stopping.set()

    # ---- Claiming ----------------------------------------------------------------------------------------

    def _register(self) -> None:
        offer = self._offer
        self._outbox.send(self._api)
        answer = self._api.call(
            "POST",
            "/agents",
            {
                "name": offer.name,
                "host": offer.name,
                "slots": offer.slots,
                "cpus": offer.cpus,
                "gpus": len(offer.gpus),
                "memory_mb": offer.memory_mb,
                "allow_commands": offer.allow_commands,
                "recipes": {name: describe(recipe) for name, recipe in offer.recipes.items()},
                **self._outbox.previous(),
            },
        )
        self._id, self._lease_s = answer["agent"]["id"], float(answer["lease_s"])
        self._outbox.remember(self._id)
        recipes = ", ".join(offer.recipes) or "none"
        _say(f"{offer.name} takes {offer.slots} jobs at once; recipes: {recipes}")

    def _claim_while_room(self) -> None:
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            try:
                pause_s = self._claim_once()
            except ServerUnreachable as error:
                pause_s = self._later(pause_s, error)
            except ServerRefused as error:
                if error.status == 404:
                    self._id = ""
                pause_s = self._later(pause_s, error)

    def _claim_once(self) -> float:
        if not self._id:
            self._register()
        with self._changed:
            if len(self._held) >= self._offer.slots:
                self._changed.wait(1.0)
                return 0.0
        answer = self._api.call(
            "POST",
            f"/agents/{self._id}/claim",
            {**self._free(), "wait_s": WAIT_S},
            timeout_s=WAIT_S + 20,
        )
        if answer and not self._stopping.is_set():
            self._take(answer)
        return 0.0

    def _later(self, pause_s: float, error: DeepEventError) -> float:
        if pause_s == 0.0 and not self._stopping.is_set():
            _say(f"{error}; it goes on trying")
        return min(max(RETRY_S, pause_s * 1.5), MAX_RETRY_S)

    def _free(self) -> dict[str, int]:
        with self._changed:
            held = list(self._held.values())
        return {
            "cpus": max(0, self._offer.cpus - sum(h.resources.cpus for h in held)),
            "gpus": max(0, len(self._offer.gpus) - sum(len(h.gpus) for h in held)),
            "memory_mb": max(0, self._offer.memory_mb - sum(h.resources.memory_mb or 0 for h in held)),
        }

    def _take(self, answer: dict[str, Any]) -> None:
        job = answer["job"]
        resources = Resources(**job["resources"])
        with self._changed:
            taken = {gpu for held in self._held.values() for gpu in held.gpus}
            gpus = tuple(gpu for gpu in self._offer.gpus if gpu not in taken)[: resources.gpus]
            held = Held(job, int(answer["fence"]), self._id, str(answer["token"]), resources, gpus)
            self._held[job["id"]] = held
        threading.Thread(target=self._carry_out, args=(held,), name=f"job {job['id']}").start()

    # ---- One job -----------------------------------------------------------------------------------------

    def _carry_out(self, held: Held) -> None:
        try:
            if self._begin(held):
                outcome = self._run_job(held)
                if not held.lost:
                    self._outbox.put(held.job["id"], held.body, outcome)
                    self._try_outbox()
        finally:
            with self._changed:
                self._held.pop(held.job["id"], None)
                self._changed.notify_all()

    def _begin(self, held: Held) -> bool:
        """Tell the server before anything runs: until it knows, somebody else may get the job."""
        while not self._stopping.is_set() and not held.lost:
            try:
                answer = self._api.call("POST", f"/jobs/{held.job['id']}/start", held.body)
            except ServerRefused as error:
                if error.status < 500 and error.status != 429:
                    return False
                self._stopping.wait(RETRY_S)
            except ServerUnreachable:
                self._stopping.wait(RETRY_S)
            else:
                held.stop_wanted = bool(answer.get("stop"))
                return True
        return False

    def _run_job(self, held: Held) -> Outcome:
        folder = self._folder / "jobs" / held.job["run"]
        if held.stop_wanted:
            return Outcome("stopped", None, "")
        try:
            task = make_task(
                held.job,
                held.fence,
                self._offer.recipes,
                self._settings,
                folder=folder,
                token=held.token,
                gpus=held.gpus,
                allow_commands=self._offer.allow_commands,
                grace_s=self._grace_s,
                silence_s=self._lease_s * 0.8,
            )
        except (DeepEventError, OSError) as error:
            return Outcome("failed", None, str(error))
        with RunLog(self._settings, held.job, held.token, task.command) as run:
            output = OutputLog(run.log_output, task.records / "output.log")
            try:
                held.execution = self._engine.start(task, output.read, held.ended.set)
            except OSError as error:
                return Outcome("failed", None, f"it could not be started: {error}")
            if held.stop_wanted or held.lost or self._stopping.is_set():
                held.execution.stop()
            held.ended.wait()
            output.close()
        outcome = held.execution.outcome() or Outcome("failed", None, "the engine gave no outcome")
        if outcome.state == "failed" and output.last_error:
            outcome = replace(outcome, reason=f"{outcome.reason}: {output.last_error}")
        if self._stopping.is_set() and not held.stop_wanted and outcome.state == "stopped":
            return Outcome("lost", outcome.exit_code, "its agent was stopped")
        return outcome

    # ---- Signs of life -----------------------------------------------------------------------------------

    def _keep_leases(self) -> None:
        while not self._all_over(self._lease_s / 6):
            for held in self._holding():
                if held.execution is None or held.ended.is_set() or held.lost:
                    continue
                try:
                    answer = self._api.call(
                        "POST", f"/jobs/{held.job['id']}/heartbeat", held.body, timeout_s=self._lease_s / 2
                    )
                except ServerRefused as error:
                    if error.status == 409:
                        held.lost = True
                        held.execution.kill()
                        _say(f"job {held.job['id']} went to somebody else: ended here")
                    continue
                except ServerUnreachable:
                    continue
                if answer.get("stop") and not held.stop_wanted:
                    held.stop_wanted = True
                    held.execution.stop()

    def _beat(self) -> None:
        while not self._all_over(min(1.0, self._lease_s / 10)):
            for held in self._holding():
                if held.execution is not None:
                    held.execution.beat()

    def _send_outbox(self) -> None:
        while not self._all_over(min(2.0, self._lease_s / 3)):
            self._try_outbox()

    def _try_outbox(self) -> None:
        try:
            self._outbox.send(self._api)
        except DeepEventError:
            return  # it is on disk, and the next round tries again

    def _holding(self) -> list[Held]:
        with self._changed:
            return list(self._held.values())

    def _all_over(self, pause_s: float) -> bool:
        """Wait a little; whether the agent was stopped and no job is left."""
        with self._changed:
            return self._changed.wait_for(lambda: self._stopping.is_set() and not self._held, pause_s)

    def _end_all(self) -> None:
        for held in self._holding():
            if held.execution is not None:
                held.execution.stop()
        with self._changed:
            self._changed.wait_for(lambda: not self._held)


def _say(text: str) -> None:
    print(f"deepevent agent: {text}", file=sys.stderr, flush=True)
