"""The records of one trial."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter

from gon_core.config import TrialConfig
from gon_core.formats import evaluation_code
from gon_core.measurement import Finding
from sweeps.engine.records import checkpoint as checkpoints
from sweeps.engine.records import hashed
from sweeps.engine.records.checkpoint import Checkpoint, differences
from sweeps.engine.records.names import next_number, numbered
from sweeps.engine.records.result import TrialResult, dump, load
from sweeps.engine.records.storage import Folder
from sweeps.engine.system.errors import OutsideError, StorageError
from sweeps.engine.system.text import first_line

CONFIG, ASK_INDEX, RESULT = "trial.json", "turn.json", "result.json"
LAST = 10**9  # of a trial whose ask index is not known

log = logging.getLogger(__name__)
T = TypeVar("T")
Default = TypeVar("Default")


@dataclass(frozen=True)
class Attempt:
    """One start of a trial's training, in one process.

    Attributes:
        host: name of the machine.
        pid: of the process.
        began: time of day, ISO 8601, UTC.
        from_epoch: the epoch of the checkpoint that it resumed from; 0 without any.
        passed_over: checkpoints, and steps of an evaluation, that could not be used, and why.
        node: Ray's name of the machine, if Ray started it.
        stopped: whether it took a checkpoint and ended, because its machine was to be lost.
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


class _AskIndex(BaseModel):
    turn: int


ATTEMPT = TypeAdapter(Attempt)


@dataclass(frozen=True)
class TrialRecords:
    """The records of one trial.

    What is damaged is passed over with a warning, as if it had never been written; ``read_config``,
    ``read_ask_index`` and ``read_result`` raise ``ValueError`` instead, or ``FileNotFoundError``.
    """

    folder: Folder
    trial_id: str

    @property
    def sweep(self) -> str:
        """The name of the sweep that it is in."""
        return self.folder.parent.parent.name

    def write_config(self, config: TrialConfig) -> None:
        """Write ``trial.json``, before training; it never changes."""
        if self.config() is None:
            self.folder.write_json(CONFIG, config.model_dump(mode="json"))

    def config(self) -> TrialConfig | None:
        """Return the configuration; None if it was not written or is damaged."""
        return self._unless_damaged(CONFIG, self.read_config, None)

    def read_config(self) -> TrialConfig:
        """Return the configuration, whose hash is the trial's id: no change of it goes unseen."""
        config = TrialConfig.model_validate(self.folder.read_json(CONFIG))
        return self._of_this_trial(config, config.trial_id)

    def write_ask_index(self, index: int) -> None:
        """Write how many trials the search proposed before this one.

        A search that is rebuilt from the records must see its points in the order it saw them in.
        """
        self.folder.write_json(ASK_INDEX, {"turn": index})

    def ask_index(self) -> int:
        """Return how many trials the search proposed before this one; ``LAST`` if not known."""
        return self._unless_damaged(ASK_INDEX, self.read_ask_index, LAST)

    def read_ask_index(self) -> int:
        """Return how many trials the search proposed before this one."""
        return _AskIndex.model_validate_json(self.folder.read(ASK_INDEX)).turn

    def write_attempt(self, attempt: Attempt) -> None:
        """Record that the trial's training starts, or resumes."""
        self._attempts.write_json(next_number(self._attempts), asdict(attempt))

    def write_stop(self) -> None:
        """Record that the last attempt was stopped, to be resumed elsewhere."""
        self._change_last_attempt(stopped=True)

    def write_passed_over(self, reasons: list[str]) -> None:
        """Record what else the last attempt could not use, and why."""
        self._change_last_attempt(passed_over=[*self.attempts()[-1].passed_over, *reasons])

    def _change_last_attempt(self, **changes: Any) -> None:
        changed = replace(self.attempts()[-1], **changes)
        self._attempts.write_json(numbered(self._attempts)[-1], asdict(changed))

    def attempts(self) -> list[Attempt]:
        """Return where and when the trial was run, in order; damaged entries are left out."""
        found = []
        for name in numbered(self._attempts):
            read = partial(self._read_attempt, name)
            if (attempt := self._unless_damaged(f"attempts/{name}", read, None)) is not None:
                found.append(attempt)
        return found

    def _read_attempt(self, name: str) -> Attempt:
        return ATTEMPT.validate_json(self._attempts.read(name))

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

        ``take`` is called with each that is whole, until it raises no ``ValueError``.
        """
        found, passed_over = checkpoints.find(self._checkpoints, self._config_fields(), take)
        for reason in passed_over:
            log.warning("trial %s: %s", self.trial_id, reason)
        return found, passed_over

    def write_finding(self, step: str, finding: Finding, model: str) -> None:
        """Write what a step of the evaluation found; ``model`` is the SHA-256 of the weights."""
        found = {"found": json.loads(finding.model_dump_json())}
        self._evaluation.write(f"{step}.json", hashed.dump(self._evaluated(step, model) | found))

    def findings(self, model: str | None = None) -> tuple[dict[str, Finding], list[str]]:
        """Return what the steps of the evaluation found so far, and which cannot be used, and why.

        ``model`` is the SHA-256 of the weights that are evaluated; None for any.
        """
        found, passed_over = {}, []
        for name in self._evaluation.names():
            if not name.endswith(".json"):
                continue
            step = name.removesuffix(".json")
            try:
                found[step] = self._finding(step, model)
            except (ValueError, OSError) as error:
                reason = first_line(error)
                passed_over.append(f"step {step} of the evaluation passed over: {reason}")
                log.warning("trial %s: %s", self.trial_id, passed_over[-1])
        return found, passed_over

    def _finding(self, step: str, model: str | None) -> Finding:
        content = hashed.load(self._evaluation.read(f"{step}.json"))
        found = content.pop("found", None)
        of = content.get("of")
        if model is None:
            model = of.get("model") if isinstance(of, dict) else None
        if differing := differences(content, self._evaluated(step, model)):
            raise ValueError(f"it was written by another evaluation: {'; '.join(differing)}")
        return Finding.model_validate_json(json.dumps(found))

    def _evaluated(self, step: str, model: str | None) -> dict[str, Any]:
        """Return what a finding is of; its file holds it, so that a foreign one is recognised."""
        of = {"trial": self.trial_id, "model": model}
        return {"step": step, "of": of, "code": evaluation_code()}

    @property
    def _attempts(self) -> Folder:
        return self.folder / "attempts"

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
        """Write how the trial ended, last of all; what it could resume from is needed no more.

        Args:
            result: how it ended.
            files: the final weights and whatever else is kept, by name.

        Returns:
            The result with the hashes of the files.
        """
        digests = {}
        for name, content in (files or {}).items():
            self.folder.write(name, content)
            digests[name] = hashlib.sha256(content).hexdigest()
        written = result.model_copy(update={"files": result.files | digests})
        self.folder.write(RESULT, dump(written))
        if result.is_final:
            for left_over in (self._evaluation, self._checkpoints):
                with suppress(StorageError):  # it takes up space alone: no error any more
                    left_over.delete()
        return written

    def forget_result(self) -> None:
        """Remove the result of a failed trial that is to run again."""
        self.folder.remove(RESULT)

    def result(self) -> TrialResult | None:
        """Return how the trial ended; None while it has not, or if that is damaged."""
        return self._unless_damaged(RESULT, self.read_result, None)

    def read_result(self) -> TrialResult:
        """Return how the trial ended."""
        found = load(self.folder.read(RESULT))
        return self._of_this_trial(found, found.trial_id)

    def _of_this_trial(self, found: T, trial_id: str) -> T:
        if trial_id != self.trial_id:
            raise ValueError(f"it is that of trial {trial_id}")
        return found

    def _unless_damaged(self, name: str, read: Callable[[], T], default: Default) -> T | Default:
        try:
            return read()
        except FileNotFoundError:
            return default
        except OutsideError:  # somebody made it: it is neither read nor replaced
            raise
        except ValueError as error:
            log.warning(
                "trial %s: %s is damaged and passed over: %s",
                self.trial_id,
                name,
                first_line(error),
            )
            return default
