"""A sweep from Python: ``sweeps.Sweep``."""

import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

from sweeps.engine.cli.command_line import judge
from sweeps.engine.cli.messages import hint
from sweeps.engine.planning import plan
from sweeps.engine.planning.own_search import (
    FunctionOptions,
    OwnOptions,
    Space,
    own_spec,
    source,
    space_problems,
)
from sweeps.engine.planning.spec import SweepSpec
from sweeps.engine.report.loaded import LoadedSweep, load
from sweeps.engine.runs.script import Script, tracking_problems
from sweeps.engine.system import provenance
from sweeps.engine.system.exit_codes import INTERRUPTED, SOME_FAILED
from sweeps.engine.system.home import settle_home
from sweeps.engine.system.leaving import RefusedError
from sweeps.engine.system.signals import handled_signals


class Sweep:
    """A sweep, as the scripts run it: same search, records, resume, MLflow runs and report.

    Three kinds of question are answered:

    - that of a script: ``Sweep(sweeps.sigma_line_search, seeds=5)``;
    - one's own about a method: ``Sweep("How much noise?", method="gnt", space={...})``;
    - one's own about a training function: ``Sweep("Which rate?", train=train, space={...})``.

    Args:
        question: the module of a script, or a question in words.
        method: what is searched; beside a training function, the methods to compare it with.
        train: called as ``train(trial, seed, report)`` by the process of each trial, see
            ``OwnTrial``. It trains ``trial.model`` in place with the values ``trial[name]`` and
            calls ``report(loss, name=value, ...)`` after each epoch. What is trained is then
            validated and measured as all other models are. A trial that was interrupted begins
            again.
        space: by name, a list of values, all of which are tried; or a range, ``(low, high)`` or
            ``(low, high, "log")``, in which Optuna proposes points.
        benchmark: the data set; ``--dataset`` of the scripts.
        seeds: of each point.
        storage: where sweeps are stored: a local folder, s3://... or gs://...
        options: all others of a script, with ``_`` for ``-``: ``max_epochs=3``.

    Raises:
        ValueError: with every problem of what was given, in one message.
    """

    def __init__(
        self,
        question: ModuleType | str,
        *,
        method: str | tuple[str, ...] | list[str] | None = None,
        train: Callable[..., None] | None = None,
        space: Space | None = None,
        benchmark: str = "mnist",
        seeds: int | None = None,
        storage: str = "results",
        **options: Any,
    ) -> None:
        given: dict[str, Any] = {"dataset": benchmark, "storage": str(storage), **options}
        given |= {} if method is None else {"method": method}
        given |= {} if seeds is None else {"seeds": seeds}
        self._space, self._function = space or {}, train
        self._script = self._own(question) if isinstance(question, str) else _script_of(question)
        self._words = _call(question, train, space, given)
        legal = list(self._script.options.model_fields)
        unknown = {name: f"unknown option{hint(name, legal)}" for name in given.keys() - {*legal}}
        known = {name: value for name, value in given.items() if name not in unknown}
        found, problems = judge(self._script.options, known, self._check)
        problems |= unknown
        if options.get("fresh") and not options.get("name"):
            problems["fresh"] = "is of a new sweep: give its name as well"
        if options.get("dry_run"):
            problems["dry_run"] = "is of the command line: run() runs the sweep"
        if isinstance(question, ModuleType):
            problems |= {
                name: f"is of one's own question, {question.__name__} has its own"
                for name, value in (("space", space), ("train", train))
                if value is not None
            }
        if problems:
            rules = {name: rule.replace("--", "") for name, rule in problems.items()}
            raise ValueError(_message([f"{name}: {rule}" for name, rule in rules.items()]))
        assert found is not None
        self._options = found

    def __repr__(self) -> str:
        return self._words

    def run(self) -> LoadedSweep:
        """Run the sweep, or resume it, and return what it found.

        Trials that failed, or that a budget kept from starting, are seen in what is returned.

        Raises:
            ValueError: the storage holds another sweep of that name, or is in use, or the like.
            RuntimeError: no trial failed, but the start, the cluster or the storage did.
            KeyboardInterrupt: after Ctrl-C, once everything is recorded.
        """
        import torch

        from sweeps.engine.runs.sweep import run_sweep

        settle_home()
        provenance.note_call(self._words)
        threads, spec = torch.get_num_threads(), self._script.spec(self._options)
        try:
            with handled_signals(last_words=None):
                code = run_sweep(spec, self._options)
        except RefusedError as refused:
            raise ValueError(str(refused)) from None
        finally:
            torch.set_num_threads(threads)
            provenance.note_call("")
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        name = plan.make_plan(spec, self._options).name
        found = load(os.path.join(self._options.storage, name))
        if code == SOME_FAILED and not found.has_failed:
            raise RuntimeError("the sweep could not go on, for the reason that was printed")
        return found

    def _check(self, options: Any) -> dict[str, str]:
        return self._script.check(options) | tracking_problems(options)

    def _own(self, question: str) -> Script[Any]:
        def spec(options: OwnOptions) -> SweepSpec:
            return own_spec(question, options, self._space, self._function)

        def check(options: OwnOptions) -> dict[str, str]:
            found = space_problems(options, self._space, self._function)
            if self._function is not None:
                try:
                    source(self._function)
                except ValueError as error:
                    found["train"] = str(error)
                if (count := options.trials_per_process) > 1:
                    rule = "it may draw from the random numbers of the whole process"
                    found["trials_per_process"] = (
                        f"must be 1 for a function; {rule}, given: {count}"
                    )
            if not found and spec(options).search == "grid":
                return plan.grid_problems(options)
            return found | plan.problems(options)

        return Script(FunctionOptions if self._function else OwnOptions, question, spec, check)


def _script_of(module: ModuleType) -> Script[Any]:
    script = getattr(module, "SWEEP", None)
    if not isinstance(script, Script):
        rule = "must be a module of a sweep, such as sweeps.sigma_line_search, or a question"
        raise ValueError(_message([f"question: {rule}, given: {module!r}"]))
    return script


def _message(problems: list[str]) -> str:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = (f"  {provenance.redact(problem)}" for problem in problems)
    return "\n".join([f"{count}, nothing was started:", *lines])


def _call(
    question: ModuleType | str,
    train: Callable[..., None] | None,
    space: Space | None,
    given: dict[str, Any],
) -> str:
    """Return the sweep as Python, without any password."""
    first = repr(question) if isinstance(question, str) else question.__name__
    parts = [first]
    parts += [] if train is None else [f"train={train.__name__}"]
    parts += [] if space is None else [f"space={dict(space)!r}"]
    defaults = {"dataset": "mnist", "storage": "results"}
    for name, value in given.items():
        if defaults.get(name) != value:
            parts.append(f"{'benchmark' if name == 'dataset' else name}={value!r}")
    return provenance.redact(f"Sweep({', '.join(parts)}).run()")
