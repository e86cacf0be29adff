"""The records of one trial."""

import hashlib
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import BaseModel, TypeAdapter

from gon_core.config import TrialConfig
from sweeps.engine.records import checkpoint as checkpoints
from sweeps.engine.records import evaluation as evaluations
from sweeps.engine.records import result as results
from sweeps.engine.records.checkpoint import Checkpoint
from sweeps.engine.records.evaluation import Finding
from sweeps.engine.records.names import next_number, numbered
from sweeps.engine.records.result import TrialResult
from sweeps.engine.records.storage import NOT_THERE, Folder
from sweeps.engine.system.errors import OutsideError, StorageError

CONFIG, TURN, RESULT = "trial.json", "turn.json", "result.json"
LAST_TURN = 10**9  # of a trial whose turn is not known

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """One start of a trial's training, in one process.

    Attributes:
        host: name of the machine.
        pid: of the process.
        began: time of day, ISO 8601, UTC.
        from_epoch: the epoch of the checkpoint that it went on from; 0 without any.
        passed_over: checkpoints, and steps of an evaluation, that could not be used, and why.
        node: Ray's name of the machine, if Ray started it.
        stopped: whether the machine was about to be taken away, and a checkpoint taken at once.
    """

    host: str
    pid: int
    began: str
    from_epoch: int
    passed_over: list[str]
    node: str = ""
    stopped: bool = False

    @property
    def notes(self) -> list[str]:
        """What a person should know of it."""
        text = f"stopped with a checkpoint: {self.host} was about to take its process away"
        return [*self.passed_over, *([text] if self.stopped else [])]


class _Turn(BaseModel):
    turn: int


ATTEMPT = TypeAdapter(Attempt)


@dataclass(frozen=True)
class TrialRecords:
    """The records of one trial."""

    folder: Folder
    trial_id: str

    def write_config(self, config: TrialConfig) -> None:
        """Write ``trial.json``, before training; it never changes."""
        if self.config() is None:
            self.folder.write_json(CONFIG, config.model_dump(mode="json"))

    def config(self) -> TrialConfig | None:
        """Return the configuration; None if it was not written or is damaged, with a warning.

        The trial's id is the hash of its configuration, so that no change of one goes unseen.
        """
        try:
            config = TrialConfig.model_validate(self.folder.read_json(CONFIG))
            if config.trial_id != self.trial_id:
                raise ValueError(f"it is that of trial {config.trial_id}")
        except NOT_THERE:
            return None
        except OutsideError:
            raise
        except ValueError as error:
            self._warn(CONFIG, error)
            return None
        return config

    def write_turn(self, turn: int) -> None:
        """Write ``turn.json``: the search asked for the trial as the ``turn``-th, from 0.

        A search that is rebuilt from the records must see its points in the order it saw them in.
        """
        self.folder.write_json(TURN, {"turn": turn})

    def turn(self) -> int:
        """Return the trial's turn; the last one if it has none, with a warning if it is damaged."""
        try:
            return self.read_turn()
        except NOT_THERE:
            return LAST_TURN
        except OutsideError:
            raise
        except ValueError as error:
            self._warn(TURN, error)
            return LAST_TURN

    def read_turn(self) -> int:
        """Return the trial's turn.

        Raises:
            ValueError: the record is damaged.
            FileNotFoundError: there is none.
        """
        return _Turn.model_validate_json(self.folder.read(TURN)).turn

    def write_attempt(self, attempt: Attempt) -> None:
        """Write down that the trial's training starts, or goes on."""
        attempts = self.folder / "attempts"
        attempts.write_json(next_number(attempts), asdict(attempt))

    def write_stop(self) -> None:
        """Record that the last attempt was stopped, to be resumed elsewhere."""
        self._rewrite_attempt(replace(self.attempts()[-1], stopped=True))

    def write_passed_over(self, reasons: list[str]) -> None:
        """Write down what else the last attempt could not use, and why."""
        last = self.attempts()[-1]
        self._rewrite_attempt(replace(last, passed_over=[*last.passed_over, *reasons]))

    def _rewrite_attempt(self, attempt: Attempt) -> None:
        attempts = self.folder / "attempts"
        attempts.write_json(numbered(attempts)[-1], asdict(attempt))

    def attempts(self) -> list[Attempt]:
        """Return where and when the trial was run, in order; damaged entries are left out."""
        attempts, found = self.folder / "attempts", []
        for name in numbered(attempts):
            try:
                found.append(ATTEMPT.validate_json(attempts.read(name)))
            except ValueError as error:
                self._warn(f"attempts/{name}", error)
        return found

    def write_final(self, files: Mapping[str, bytes]) -> None:
        """Write further files of an ended trial, such as what its noise generator learned."""
        for name, content in files.items():
            self.folder.write(name, content)

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, its manifest last, then drop all but it and the one before it."""
        checkpoints.write(self._checkpoints, checkpoint, self._config_fields())

    def latest_checkpoint(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole and of this trial and code, or None."""
        return self.find_checkpoint()[0]

    def find_checkpoint(
        self, take: Callable[[Checkpoint], None] = lambda checkpoint: None
    ) -> tuple[Checkpoint | None, list[str]]:
        """Return the newest checkpoint that can be used, and why newer ones cannot.

        Args:
            take: called with each that is whole, until it raises no ``ValueError``.
        """
        found, passed_over = checkpoints.find(self._checkpoints, self._config_fields(), take)
        for reason in passed_over:
            log.warning("trial %s: %s", self.trial_id, reason)
        return found, passed_over

    def write_finding(self, step: str, finding: Finding, model: str) -> None:
        """Write what a step of the evaluation found.

        Args:
            step: its name.
            finding: what to write.
            model: SHA-256 of the weights that are evaluated.
        """
        identity = {"trial": self.trial_id, "model": model}
        evaluations.write(self._evaluation, step, finding, identity)

    def findings(self, model: str | None = None) -> tuple[dict[str, Finding], list[str]]:
        """Return what the steps of the evaluation found so far, and which cannot be used, and why.

        Args:
            model: SHA-256 of the weights that are evaluated; None for any.
        """
        identity = {"trial": self.trial_id} | ({"model": model} if model is not None else {})
        found, passed_over = {}, []
        for step in evaluations.names(self._evaluation):
            try:
                found[step] = evaluations.read(self._evaluation, step, identity)
            except (ValueError, OSError) as error:
                reason = str(error).splitlines()[0]
                passed_over.append(f"step {step} of the evaluation passed over: {reason}")
                log.warning("trial %s: %s", self.trial_id, passed_over[-1])
        return found, passed_over

    @property
    def _checkpoints(self) -> Folder:
        return self.folder / "checkpoints"

    @property
    def _evaluation(self) -> Folder:
        return self.folder / "evaluation"

    def _config_fields(self) -> dict[str, Any]:
        config = self.config()
        return config.model_dump(mode="json") if config is not None else {}

    def write_result(
        self, result: TrialResult, files: Mapping[str, bytes] | None = None
    ) -> TrialResult:
        """Write how the trial ended, last of all; what it could go on from is needed no more.

        Args:
            result: how it ended.
            files: the final weights and whatever else is kept, by name.

        Returns:
            the result with the hashes of the files.
        """
        files = files or {}
        self.write_final(files)
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        written = result.model_copy(update={"files": result.files | digests})
        self.folder.write(RESULT, results.dump(written))
        if result.is_final:
            for left_over in (self._evaluation, self._checkpoints):
                with suppress(StorageError):  # it takes up space alone: no error any more
                    left_over.delete()
        return written

    def forget_result(self) -> None:
        """Remove the result of a failed trial that is to run again."""
        self.folder.remove(RESULT)

    def result(self) -> TrialResult | None:
        """Return how the trial ended; None while it has not, or if that is damaged (a warning)."""
        try:
            return self.read_result()
        except NOT_THERE:
            return None
        except OutsideError:
            raise
        except ValueError as error:
            self._warn(RESULT, error)
            return None

    def read_result(self) -> TrialResult:
        """Return how the trial ended.

        Raises:
            ValueError: the record is damaged, or of another trial.
            FileNotFoundError: there is none.
        """
        found = results.load(self.folder.read(RESULT))
        if found.trial_id != self.trial_id:
            raise ValueError(f"it is that of trial {found.trial_id}")
        return found

    def _warn(self, name: str, error: Exception) -> None:
        reason = str(error).splitlines()[0]
        log.warning("trial %s: %s is damaged and passed over: %s", self.trial_id, name, reason)
