"""One sweep from options to report: refuse, plan, train, search, record, show."""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.console import Console

from search_spaces.parameter import Point
from sweeps.engine.backend.budget import Meter, OutOfBudgetError, make_meter
from sweeps.engine.backend.cluster import Cluster, refuse_unshared
from sweeps.engine.backend.driver import Driver
from sweeps.engine.backend.protocol import Backend, BackendFactory
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning import plan as planning
from sweeps.engine.planning import warm_start
from sweeps.engine.planning.baselines import baseline_problem
from sweeps.engine.planning.earlier_sweeps import fresh_name, other_sweeps, reusable_trials
from sweeps.engine.planning.given_weights import given
from sweeps.engine.planning.growth import added, conflicts, grown
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.spec import SweepSpec
from sweeps.engine.planning.sweep_cost import at_a_time, price_lines, used_line
from sweeps.engine.planning.trial_cost import Speed, estimate_time, trial_seconds
from sweeps.engine.records import (
    OtherSweeps,
    SweepDescription,
    SweepRecords,
    starting_models,
)
from sweeps.engine.records.lock import holder
from sweeps.engine.records.storage import Folder
from sweeps.engine.records.usage import Budget
from sweeps.engine.resources import cluster_check
from sweeps.engine.runs import images
from sweeps.engine.runs.dry_run import show_deviations, show_plan
from sweeps.engine.runs.live_report import LiveReport
from sweeps.engine.runs.progress import Progress
from sweeps.engine.runs.session import (
    Session,
    made_by,
    recorded_sweep,
    refuse_conflicts,
    refuse_running,
)
from sweeps.engine.search.ledger import Objectives
from sweeps.engine.search.search import Search
from sweeps.engine.system import provenance
from sweeps.engine.system.exit_codes import DONE
from sweeps.engine.system.leaving import refuse
from sweeps.engine.system.signals import deferred_signals
from sweeps.engine.system.text import first_line, plural
from sweeps.engine.tracking import Tracker

if TYPE_CHECKING:  # they load torch: whatever can be refused is refused before
    from sweeps.engine.trials.measures import TrialData


def run_sweep(spec: SweepSpec, options: SweepOptions, backend: BackendFactory = Cluster) -> int:
    """Run a sweep, or resume it; print its progress and its result.

    Args:
        spec: what is searched.
        options: legal ones.
        backend: what runs the trials.

    Returns:
        The exit code: 0 done, 1 some trial failed, 3 ended by its budget and none failed, 130
        interrupted; the last two are resumable.

    Raises:
        SystemExit: 2 with the reason, if the folder holds another sweep, if its budget
            is less than its first trial needs, or if a machine does not see its storage.
    """
    console = Console(markup=False)
    asked = _what_is_asked(spec, options, console)
    plan, records, digest = asked.plan, asked.records, asked.description.data_digest
    budget = Budget(options.budget_gpu_hours, options.budget_hours)
    price, uses_cost = options.price_per_gpu_hour, options.dry_run or bool(budget.limits)
    start_is_kept = uses_cost and all(
        start.weights is not None
        or starting_models.stored(starting_models.folder(asked.storage, start, digest)) is not None
        for start in plan.starts
    )
    others = other_sweeps(plan, options, asked.storage, digest)
    if options.dry_run:
        reusable = reusable_trials(plan, records, others)
        estimate = estimate_time(plan, asked.storage, options.images_per_second)
        costs = price_lines(plan, estimate, records, start_is_kept, budget, price, len(reusable))
        costs += images.image_lines(plan.config.data, options)
        show_plan(plan, records, reusable, costs, estimate, start_is_kept, console)
        return DONE
    # What follows reads the results, if there is a budget; a second driver need not wait for that.
    if not options.wait_for_driver and (claim := holder(records.folder)) is not None:
        refuse_running(plan.name, claim.describe())
    trains = not budget.limits or (
        len(reusable_trials(plan, records, others)) < plan.number_of_trials
    )
    meter = make_meter(plan, asked.storage, records, budget, start_is_kept, trains, console.print)
    known = known_points(plan, asked.recorded, console)
    if asked.recorded is None:  # else its folder is there, and the copies are most likely too
        images.copy(plan.config.data, options, console.print)
    session = Session(
        records, asked.description, options, console, wait_seconds=options.wait_for_driver,
        used_line=lambda: used_line(meter.spent, plan.resources, budget, price),
    )  # fmt: skip
    sweep = _Sweep(plan, options, asked.storage, session, known, meter, others, backend)
    return session.alone(sweep.run)


@dataclass(frozen=True)
class _Asked:
    plan: Plan
    storage: Folder
    records: SweepRecords
    description: SweepDescription
    recorded: SweepDescription | None


def _what_is_asked(spec: SweepSpec, options: SweepOptions, console: Console) -> _Asked:
    """Return the sweep that the options ask for, grown from what is recorded under its name."""
    plan = planning.make_plan(spec, options)
    if rule := baseline_problem(plan.spec):
        refuse([f"--method: {rule}"])
    storage = Folder(options.storage)
    if options.fresh and options.name is None:
        plan = replace(plan, name=fresh_name(storage, plan.name))
        provenance.add_to_command({"--name": [plan.name]})
    records = SweepRecords(storage / plan.name)
    if options.download and not options.dry_run:
        images.download(options)
    has_data = not (options.dry_run and options.download)  # else it may not be there yet
    digest = planning.data_digest(options.dataset, options.data_dir) if has_data else ""
    description = describe_sweep(plan, options, digest)
    if (recorded := recorded_sweep(records)) is not None:
        refuse_conflicts(records, conflicts(plan, recorded, digest))
        try:
            plan = grown(plan, recorded, options)
        except ValueError as error:  # a method among its baselines or points is none
            path = records.folder.path
            refuse([f"--name: {path}: sweep.json is damaged ({first_line(error)}); choose another"])
        same = {"id": recorded.id, "created": recorded.created, "known": recorded.known}
        description = describe_sweep(plan, options, digest).model_copy(update=same)
        if words := added(plan, recorded):
            console.print(words, highlight=False, markup=False, soft_wrap=True)
    return _Asked(plan, storage, records, description, recorded)


def known_points(
    plan: Plan, before: SweepDescription | None, console: Console
) -> list[tuple[Point, Objectives]]:
    """Return what earlier sweeps found, as it was when this sweep first began."""
    if before is not None:
        return list(before.known)
    if not plan.config.warm_start:
        return []
    known, words = warm_start.read(plan)
    console.print(words)
    return list(known.items())


def describe_sweep(plan: Plan, options: SweepOptions, data_digest: str) -> SweepDescription:
    """Return what ``sweep.json`` will say."""
    config, spec = plan.config, plan.spec
    return SweepDescription(
        name=plan.name,
        experiment=spec.name,
        title=spec.title,
        scale=config.scale,
        config=config.model_dump(mode="json"),
        deviations=tuple(plan.deviations),
        search=spec.search,
        parameters=spec.space,
        objectives=spec.objectives,
        published=spec.published,
        seeds=config.seeds,
        grid=config.grid,
        baselines=config.baselines,
        data_digest=data_digest,
        **made_by(options),
    )


@dataclass
class _Sweep:
    plan: Plan
    options: SweepOptions
    storage: Folder
    session: Session
    known: list[tuple[Point, Objectives]]
    meter: Meter
    others: OtherSweeps | None
    make_backend: BackendFactory

    @property
    def records(self) -> SweepRecords:
        return self.session.records

    def run(self) -> int:
        session = self.session
        self._write_description()
        search, finished = warm_start.rebuild_search(self.plan, self.records, dict(self.known))
        reused = Driver(self.plan, search, self.records, (), others=self.others).reuse_waiting()
        if reused:
            are, they = ("trial is", "it") if reused == 1 else ("trials are", "them")
            session.say(f"{reused} {are} reused: other sweeps here trained {they} already.")
            finished += reused
        if search.is_exhausted:
            session.say(
                f"Sweep {self.plan.name} is finished: {plural(finished, 'trial')} recorded, "
                "nothing to train."
            )
            return session.run()  # an earlier driver may not have sent everything to the tracker
        self._announce(finished)
        if not self.meter.may_start():
            with self.meter:
                self._note_stop(search)
            return session.run()
        given = self.options.address
        address = cluster_check.resolve(given) if given is not None else None
        with self.make_backend(self.plan.resources, address) as backend:

            def work(tracker: Tracker) -> None:
                with self.meter:
                    with suppress(OutOfBudgetError):
                        self._train(backend, search, finished, tracker)
                    self._note_stop(search)

            return session.run(work, backend.stop, backend.join)

    def _write_description(self) -> None:
        """Write ``sweep.json``, unless it says the same already."""
        recorded, description = self.records.read_sweep(), self.session.description
        if recorded is None:
            description = description.model_copy(update={"known": tuple(self.known)})
        elif recorded.config != description.config:
            if grown(self.plan, recorded, self.options).config != self.plan.config:
                refuse(["--name: another driver has let the sweep grow; run the command again"])
        else:
            return
        self.records.write_sweep(description)

    def _note_stop(self, search: Search) -> None:
        """Note if the budget ended the sweep: the search would have proposed more."""
        if not search.is_exhausted:
            ended = sum(result.is_final for result in self.records.results())
            stop = self.meter.stop_now(self.plan.number_of_trials - ended)
            self.meter.stop = self.session.stop = stop

    def _announce(self, finished: int) -> None:
        plan, resources, say = self.plan, self.plan.resources, self.session.say
        say(f"{plan.spec.title} Sweep {plan.name}, scale {plan.config.scale}.")
        if finished:
            say(f"Resumed: {plural(finished, 'trial')} recorded already.")
        left, precision = plan.number_of_trials - finished, plan.config.training.precision
        say(
            f"{plural(left, 'trial')}, {at_a_time(resources)} on "
            f"{resources.device}, {precision}; kept in {self.records.folder.path}"
        )
        say(f"Report, from the first minutes on: {self.records.folder.path}/report/report.html")
        show_deviations(plan, self.session.console)

    def _train(self, backend: Backend, search: Search, finished: int, tracker: Tracker) -> None:
        plan = self.plan
        progress = Progress(plan, self.session.console, finished, self.meter.text, search.ledger)
        with progress.shown():
            progress.phase("loading torch")
            with deferred_signals():  # importing torch takes seconds, while Ray starts
                from sweeps.engine.backend.in_process import InProcess
            progress.phase("making the corrupted images")
            data = self._prepare_data()
            is_here = self.options.address is None
            trainer: Backend = backend
            if is_here and plan.resources.device == "cpu":  # it has nothing else to do
                trainer = InProcess(plan.resources)
            progress.phase("starting Ray" if is_here else "connecting to Ray")
            trainer.wait()
            if not is_here and self.records.folder.is_local:
                refuse_unshared(self.records.folder, "sweep.json")
            weights = self._start_weights(trainer, data, progress)
            progress.phase("starting Ray" if is_here else "connecting to Ray")
            backend.wait()
            progress.phase("waiting for a machine")
            with LiveReport(self.records) as live:
                driver = Driver(
                    plan, search, self.records, (self.meter, progress, tracker, live),
                    self.meter.may_start, self.meter.may_wait, (self.meter, progress), self.others,
                    progress.evaluating, tracker.sampled if self.options.system_metrics else None,
                )  # fmt: skip
                backend.run(driver, data, weights)

    def _start_weights(
        self, trainer: Backend, data: "TrialData", progress: Progress
    ) -> dict[str, bytes]:
        """Return the model that the trials of each architecture start from."""
        from sweeps.engine.backend import start_model

        own, digest = given(self.options), self.session.description.data_digest
        weights, speeds = {}, {}
        for start in self.plan.starts:
            kept = starting_models.folder(self.storage, start, digest)
            if start.model in own:
                starting_models.keep(kept, start, own[start.model].content, [])
            if starting_models.stored(kept) is None:
                progress.phase(f"training the start model, {start.model}")
            weights[start.model] = start_model.start_weights(
                self.plan, start, kept, trainer, data, self.meter, progress.start_trained
            )
            if (speed := starting_models.seconds_per_image(kept, start)) is not None:
                speeds[start.model] = Speed.from_training(speed)
        if weights and len(speeds) == len(weights):
            progress.expect(trial_seconds(self.plan, speeds))
        return weights

    def _prepare_data(self) -> "TrialData":
        import torch

        from sweeps.engine.trials import measures

        torch.set_num_threads(1)  # idle threads of the driver would spin on the trials' cores
        data, evaluation = self.plan.config.data, self.plan.config.evaluation
        resources = self.plan.resources
        decoders = resources.decoders * resources.trials_per_process  # which share their images
        splits = images.read(data, self.options, decoders, self.session.console.print)
        measures.write_examples(self.records.folder, splits, evaluation)
        return measures.prepare_data(splits, evaluation, self.options.corrupted_dir)
