"""What can go wrong, as a tree.

DeepEventError
├── SettingsError          a flag, variable or settings file has a value that cannot be used
│   └── RecipeInvalid      a deepevent.toml declares something that cannot be used (all its problems)
├── ParametersInvalid      a job's parameters do not fit its recipe (each by name)
├── JobRefused             an agent will not run this job: unknown recipe, commands not allowed
├── JournalError           the spool could not be written or read
│   └── RecordDamaged      a record's CRC or size is wrong
├── BatchInvalid           a batch can never be accepted: wrong magic, version, size, CRC or content
├── TrainingError          a training could not go on
│   ├── NonFiniteLoss      the loss became NaN or infinite, at `net`, `step`, `batch`
│   ├── TrainingStopped    somebody stopped one training of several; its checkpoint is there
│   └── CheckpointInvalid  a file that is no checkpoint of this program, or is not there
├── ServerUnreachable      no answer from the server
├── ServerBusy             the server answered, and can take nothing now (status, retry_after_s)
├── ServerRefused          the server answered, and said no (status, detail)
├── DataSetError           a folder of photographs is not what its reader expects
│   ├── DownloadFailed     a file of a data set could not be fetched whole
│   └── ArchiveUnsafe      an archive holds a path, a link or a size that is refused
└── StoreError             the database
    ├── StoreBusy          try again after `retry_after_s`
    │   └── StoreOverloaded more arrives than can be committed
    │       └── QuotaExceeded a project has as much as it may have
    ├── StoreTooNew        made by a newer DeepEvent
    ├── SequenceGap        a batch starts after `expected`
    ├── RunNotFound
    ├── RunDeleted
    ├── JobNotFound
    ├── AgentNotFound
    ├── ViewNotFound
    ├── AlertRuleNotFound
    ├── WebhookNotFound
    ├── LeaseLost          the job was given to another attempt: this one's fence is old
    ├── JobConflict        the job's state does not allow this
    ├── SweepNotFound
    ├── SweepConflict      the sweep's state does not allow this
    ├── FilterError        a filter or sort key with a mistake, at `position`
    ├── QueryInvalid       a curve was asked for in a way that has no answer
    └── BlobInvalid        a blob whose content is not what its hash says, or that is too large

Libraries raise these; only the command line prints and exits.
"""

from __future__ import annotations


class DeepEventError(Exception):
    """Root of all errors of DeepEvent."""


class SettingsError(DeepEventError):
    """A flag, variable or settings file has a value that cannot be used."""


class RecipeInvalid(SettingsError):
    """A recipe file declares something that cannot be used.

    Attributes:
        problems: one sentence each, in the order of the file.
    """

    def __init__(self, source: str, problems: list[str]) -> None:
        super().__init__(f"{source} cannot be used: " + "; ".join(problems))
        self.problems = problems


class ParametersInvalid(DeepEventError):
    """A job's parameters do not fit its recipe.

    Attributes:
        problems: what is wrong, by parameter.
    """

    def __init__(self, recipe: str, problems: dict[str, str]) -> None:
        super().__init__(f"recipe {recipe!r}: " + "; ".join(f"{k} {v}" for k, v in problems.items()))
        self.problems = problems


class JobRefused(DeepEventError):
    """An agent will not run this job."""


class JournalError(DeepEventError):
    """The spool could not be written or read."""


class RecordDamaged(JournalError):
    """A journal record's CRC or size is wrong."""


class BatchInvalid(DeepEventError):
    """A batch can never be accepted: wrong magic, version, size, CRC or content."""


class TrainingError(DeepEventError):
    """A training could not go on."""


class TrainingStopped(TrainingError):
    """One training of several was stopped on request."""

    def __init__(self, name: str, checkpoint: str) -> None:
        super().__init__(f"{name} was stopped; the same command goes on from {checkpoint}")


class NonFiniteLoss(TrainingError):
    """The loss became NaN or infinite.

    Attributes:
        net: the net that was trained.
        step: the step, counted from 0 over all epochs.
        batch: the batch, counted from 0 in its epoch.
    """

    def __init__(self, net: str, step: int, batch: int, loss: float) -> None:
        super().__init__(
            f"the loss of {net} became {loss} at step {step}, batch {batch} of its epoch: "
            "try a smaller learning rate, or batch normalisation"
        )
        self.net = net
        self.step = step
        self.batch = batch


class CheckpointInvalid(TrainingError):
    """A file is no checkpoint of this program, or is not there."""


class ServerUnreachable(DeepEventError):
    """No answer came from the server."""


class ServerRefused(DeepEventError):
    """The server answered and said no.

    Attributes:
        status: the HTTP status.
        detail: the server's sentence.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"the server answered {status}: {detail}")
        self.status = status
        self.detail = detail


class ServerBusy(DeepEventError):
    """The server can take nothing right now (429, 5xx).

    Attributes:
        status: the HTTP status.
        retry_after_s: when to try again, if the server said so.
    """

    def __init__(self, status: int, retry_after_s: float | None, detail: str) -> None:
        super().__init__(f"the server answered {status}: {detail}")
        self.status = status
        self.retry_after_s = retry_after_s


class DataSetError(DeepEventError):
    """A folder of photographs is not what its reader expects."""


class DownloadFailed(DataSetError):
    """A file of a data set could not be fetched whole."""


class ArchiveUnsafe(DataSetError):
    """An archive holds a path, a link or a size that is refused."""


class StoreError(DeepEventError):
    """The database could not do what was asked."""


class StoreBusy(StoreError):
    """The store cannot take more now; try again after `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreOverloaded(StoreBusy):
    """More batches wait than the server keeps in memory."""


class QuotaExceeded(StoreOverloaded):
    """A project has as many runs, points or bytes as its quota allows."""


class StoreTooNew(StoreError):
    """The database was made by a newer DeepEvent."""


class SequenceGap(StoreError):
    """A batch starts behind the next expected sequence."""

    def __init__(self, message: str, expected: int) -> None:
        super().__init__(message)
        self.expected = expected


class RunNotFound(StoreError):
    """No run has this id."""


class RunDeleted(StoreError):
    """The run was deleted; nothing more is taken for it."""


class JobNotFound(StoreError):
    """No job has this number."""


class AgentNotFound(StoreError):
    """No agent has this id; it must register again."""


class AlertRuleNotFound(StoreError):
    """There is no such alert rule."""


class WebhookNotFound(StoreError):
    """There is no such webhook."""


class ViewNotFound(StoreError):
    """There is no such saved view."""


class LeaseLost(StoreError):
    """The job went to another attempt, or has ended: what comes with this fence is refused."""


class JobConflict(StoreError):
    """The job's state does not allow what was asked."""


class SweepNotFound(StoreError):
    """No sweep has this number."""


class SweepConflict(StoreError):
    """The sweep's state does not allow what was asked."""


class FilterError(StoreError):
    """A filter or sort key with a mistake at `position` (0-based)."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


class QueryInvalid(StoreError):
    """A curve was asked for in a way that has no answer."""


class BlobInvalid(StoreError):
    """A blob's content is not what its hash says, or it is too large."""
