"""One sweep from options to report: refuse, plan, train, search, record, show."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console

from search_spaces.parameter import Point
from sweeps.engine.backend.budget import Meter, OutOfBudgetError, make_meter
from sweeps.engine.backend.cluster import Cluster
from sweeps.engine.backend.driver import Driver, Limits
from sweeps.engine.backend.protocol import Backend, BackendFactory
from sweeps.engine.cli.options import CommandOptions, SweepOptions
from sweeps.engine.planning import plan as planning
from sweeps.engine.planning import warm_start
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.rebuild import rebuild_search
from sweeps.engine.planning.spec import SweepSpec
from sweeps.engine.planning.sweep_cost import Price, at_a_time, estimate_time, used_line
from sweeps.engine.planning.trial_cost import Speed, trial_seconds
from sweeps.engine.records import Stop, SweepDescription, SweepRecords, starting_models
from sweeps.engine.records.lock import SweepIsRunningError, SweepLock, holder
from sweeps.engine.records.starting_models import DivergedStartError
from sweeps.engine.records.storage import Folder
from sweeps.engine.records.usage import Budget
from sweeps.engine.resources import cluster_check
from sweeps.engine.resources.cluster_check import ClusterError, UnsharedStorageError
from sweeps.engine.runs.dry_run import show_deviations, show_plan
from sweeps.engine.runs.progress import Progress
from sweeps.engine.search.ledger import Objectives
from sweeps.engine.search.search import Search
from sweeps.engine.system import machine, provenance
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.exit_codes import DONE, INTERRUPTED, OUT_OF_BUDGET, SOME_FAILED
from sweeps.engine.system.importing import IMPORTING
from sweeps.engine.system.leaving import refuse
from sweeps.engine.system.signals import as_keyboard_interrupt, deferred_signals
from sweeps.engine.tracking import Tracker, default_uri, ui_command

if TYPE_CHECKING:  # they load torch: whatever can be refused is refused before
    from sweeps.engine.trials.measures import TrialData


def run_sweep(
    spec: SweepSpec,
    options: SweepOptions,
    backend: BackendFactory = Cluster,
) -> int:
    """Run a sweep, or carry it on; print how it goes and what came out.

    Args:
        spec: what is searched.
        options: legal ones.
        backend: what runs the trials.

    Returns:
        The exit code: 0 done, 1 some trial failed, 3 ended by its budget and none failed, 130
        interrupted; the last two are resumable.

    Raises:
        SystemExit: 2 with the reason, if a sweep of this name asks something else, if its budget
            is less than its first trial needs, or if a machine does not see its storage.
    """
    console = Console()
    plan = planning.make_plan(spec, options)
    if rule := planning.baseline_problem(plan.spec):
        refuse([f"--method: {rule}"])
    storage = Folder(options.storage)
    records = SweepRecords(storage / plan.name)
    if options.download and not options.dry_run:
        download(options)
    if options.dry_run and options.download:
        digest = ""  # the data may not be there yet
    else:
        digest = planning.data_digest(options.dataset, options.data_dir)
    description = describe_sweep(plan, options, digest)
    refuse_another_sweep(records, description)
    kept = starting_models.folder(storage, plan.config.start, digest)
    budget = Budget(options.budget_gpu_hours, options.budget_hours)
    price = Price(budget, options.price_per_gpu_hour)
    if options.dry_run:
        start_is_kept = starting_models.stored(kept) is not None
        estimate = estimate_time(plan, storage)
        show_plan(plan, estimate, records, start_is_kept, price, console)
        return DONE
    # What follows reads the results, if there is a budget; a second driver need not wait for that.
    if not options.wait_for_driver and (claim := holder(records.folder)) is not None:
        refuse_running(plan, claim.describe())
    start_is_kept = bool(budget.limits) and starting_models.stored(kept) is not None
    meter = make_meter(plan, storage, records, budget, start_is_kept, console.print)
    known = known_points(plan, records, console)
    return _Run(
        plan, options, storage, records, description, known, console, meter, price, backend
    ).run()


def known_points(
    plan: Plan, records: SweepRecords, console: Console
) -> list[tuple[Point, Objectives]]:
    """Return what earlier sweeps found, as it was when this sweep first began."""
    before = records.read_sweep()
    if before is not None:
        return list(before.known)
    if not plan.config.warm_start:
        return []
    known = warm_start.read(plan)
    console.print(
        f"Learning from {known.trials} trials of earlier sweeps, at {len(known.points)} points; "
        f"{known.passed_over} others cannot be compared (other data, training or method)."
    )
    return list(known.points.items())


def download(options: SweepOptions) -> None:
    """Fetch the data set that was asked for; exit with code 2 where that fails."""
    from gon_core.data import idx
    from gon_core.data.files import DataFileError

    assert options.data_dir is not None
    try:
        idx.download(options.dataset, options.data_dir)
        planning.data_digest(options.dataset, options.data_dir)
    except DataFileError as error:
        refuse([f"--dataset: {error}"])


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
        published=spec.published if config.data.dataset == "mnist" else None,
        seeds=config.seeds,
        grid=config.grid,
        baselines=config.baselines,
        data_digest=data_digest,
        **made_by(options),
    )


def made_by(options: CommandOptions) -> dict[str, Any]:
    """Return the fields of ``sweep.json`` that say what makes the sweep and where it is tracked."""
    uri = options.tracking_uri or default_uri(options.storage)
    return {
        "created": provenance.now(),
        "code": provenance.code_version(),
        "packages": provenance.package_versions(),
        "command": provenance.repeat_command(),
        "tracking_uri": provenance.redact(uri),
        "tracking": ui_command(uri),
    }


def refuse_another_sweep(records: SweepRecords, description: SweepDescription) -> None:
    """Exit with code 2 if the folder holds a sweep of another config, naming the differences."""
    if records.folder.is_local and Path(records.folder.path).is_file():
        refuse([f"--name: {records.folder.path} is a file, choose another name"])
    try:
        recorded = records.read_sweep()
    except (ValueError, OSError) as error:
        refuse([f"--name: {records.folder.path}: {error}; choose another name"])
    if recorded is not None and (differences := description.differences(recorded)):
        refuse([f"--name: {records.folder.path} holds another sweep, choose another name",
                *differences])  # fmt: skip


def refuse_running(plan: Plan, driver: str) -> NoReturn:
    """Exit with code 2: another driver runs the sweep."""
    refuse([f"--name: sweep {plan.name} is being run already, by {driver}"])


def storage_problem(error: BaseException | None) -> str | None:
    """Return why the storage cannot be used, if an error comes from that."""
    while error is not None:
        if isinstance(error, StorageError):
            return str(error)
        error = error.__cause__ or error.__context__
    return None


@dataclass
class _Run:
    plan: Plan
    options: SweepOptions
    storage: Folder
    records: SweepRecords
    description: SweepDescription
    known: list[tuple[Point, Objectives]]
    console: Console
    meter: Meter
    price: Price
    make_backend: BackendFactory

    def run(self) -> int:
        try:
            wait = self.options.wait_for_driver
            with SweepLock(self.records.folder, wait_seconds=wait, say=self._say) as lock:
                return self._run_alone(lock)
        except SweepIsRunningError as error:
            refuse_running(self.plan, str(error))
        except StorageError as error:  # before the first trial, or after the last
            return self._end_without_storage(error)

    def _run_alone(self, lock: SweepLock) -> int:
        search, finished = rebuild_search(self.plan, self.records, dict(self.known))
        if search.is_exhausted:
            self.console.print(
                f"Sweep {self.plan.name} is finished: {finished} trials recorded, nothing to train."
            )
            # An earlier driver may have been killed before MLflow was told everything.
            return self._conclude(self._tracker(), interrupted=False)
        self._announce(finished)
        if self.records.read_sweep() is None:
            known = tuple(self.known)
            self.records.write_sweep(self.description.model_copy(update={"known": known}))
        tracker = self._tracker()
        if not self.meter.may_start():
            with self.meter:
                self._stop(search)
            return self._conclude(tracker, interrupted=False)
        asked = self.options.address
        address = cluster_check.resolve(asked) if asked is not None else None
        with self.make_backend(self.plan.resources, address) as cluster:
            return self._run_on(cluster, search, finished, tracker, lock)

    def _run_on(
        self, cluster: Backend, search: Search, finished: int, tracker: Tracker, lock: SweepLock
    ) -> int:
        try:
            with as_keyboard_interrupt(), self.meter:
                with suppress(OutOfBudgetError):
                    self._train(cluster, search, finished, tracker)
                self._stop(search)
        except KeyboardInterrupt:
            cluster.stop()
            cluster.join()  # a trial that still ran would write its records beside the report
            if lock.was_taken_over:
                self._say("Another driver has taken the sweep over: this one ends.", "red")
                return INTERRUPTED
            return self._conclude(tracker, interrupted=True)
        except UnsharedStorageError as error:
            tracker.close({}, failed=True, interrupted=True)
            refuse([f"--storage: {error}"], "the sweep ended")
        except (DivergedStartError, ClusterError) as error:
            self._say(str(error), "red")
            missing = tracker.close({}, failed=True, interrupted=False)
            if isinstance(error, ClusterError):  # else the same would come of it
                self._say_what_next(missing, interrupted=True)
            return SOME_FAILED
        except BaseException as error:  # no run may stay RUNNING, whatever broke
            tracker.close({}, failed=True, interrupted=True)
            if storage_problem(error) is None:
                raise
            return self._end_without_storage(error)
        cluster.stop()
        return self._conclude(tracker, interrupted=False)

    def _stop(self, search: Search) -> None:
        """Take in whether the budget ended the sweep: the search would have gone on."""
        if not search.is_exhausted:
            ended = sum(result.is_final for result in self.records.results())
            self.meter.stop = self.meter.stop_now(self.plan.number_of_trials - ended)

    def _tracker(self) -> Tracker:
        uri = self.options.tracking_uri or default_uri(self.options.storage)
        return Tracker(uri, self.description, self.records, self._say)

    def _say(self, line: str, style: str | None = None) -> None:
        # What others wrote may have brackets, which are no markup.
        self.console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)

    def _announce(self, finished: int) -> None:
        plan, resources = self.plan, self.plan.resources
        self.console.print(f"{plan.spec.title} Sweep {plan.name}, scale {plan.config.scale}.")
        if finished:
            self.console.print(f"Resumed: {finished} trials are recorded already.")
        left = plan.number_of_trials - finished
        self.console.print(
            f"{left} {'trial' if left == 1 else 'trials'}, {at_a_time(resources)} on "
            f"{resources.device}, {plan.config.training.precision}; kept in "
            f"{self.records.folder.path}"
        )
        show_deviations(plan, self.console)
        on_cpu_in_bf16 = plan.config.training.precision == "bf16" and resources.device == "cpu"
        if on_cpu_in_bf16 and not machine.has_bf16():
            self.console.print(
                "This CPU has no bfloat16 instructions: bf16 takes some four times as long as fp32."
            )

    def _train(self, cluster: Backend, search: Search, finished: int, tracker: Tracker) -> None:
        plan, config = self.plan, self.plan.config
        progress = Progress(plan, self.console, finished, self.meter.text)
        with progress.shown():
            with deferred_signals():  # importing torch takes seconds, while Ray starts
                from sweeps.engine.backend import shared_storage, start_model
                from sweeps.engine.backend.in_process import InProcess
            data = self._prepare_data()
            kept = starting_models.folder(self.storage, config.start, self.description.data_digest)
            is_here = self.options.address is None
            trainer: Backend = cluster
            if is_here and plan.resources.device == "cpu":  # it has nothing else to do
                trainer = InProcess(plan.resources)
            trainer.wait()
            if not is_here and self.records.folder.is_local:
                shared_storage.refuse_unshared(self.records.folder, "sweep.json")
            limits = Limits(self.options.max_failures, self.options.max_node_losses)
            weights = start_model.start_weights(
                plan, kept, trainer, data, limits, self.meter, progress.start_trained
            )
            speed = starting_models.seconds_per_image(kept, config.start)
            if speed is not None:
                progress.expect(trial_seconds(plan, Speed.from_training(speed)))
            cluster.wait()
            driver = Driver(
                plan, search, self.records, (self.meter, progress, tracker), limits,
                self.meter.may_start, self.meter.may_wait, (self.meter, progress),
            )  # fmt: skip
            cluster.run(driver, data, weights)

    def _prepare_data(self) -> "TrialData":
        import torch

        with deferred_signals():
            from gon_core.data import idx  # torchvision

        from gon_core.data.splits import split
        from sweeps.engine.trials import measures

        torch.set_num_threads(1)  # idle threads of the driver would spin on the trials' cores
        images = idx.load(self.options.dataset, self.options.data_dir)
        splits = split(*images, self.plan.config.data)
        measures.write_examples(self.records.folder, splits, self.plan.config.evaluation)
        return measures.prepare_data(splits, self.plan.config.evaluation)

    def _conclude(self, tracker: Tracker, interrupted: bool) -> int:
        try:
            return self._report(tracker, interrupted)
        except KeyboardInterrupt:  # no run may stay RUNNING
            tracker.close({}, failed=False, interrupted=True)
            raise

    def _report(self, tracker: Tracker, interrupted: bool) -> int:
        with IMPORTING:
            from sweeps.engine.report import headline, print_report, write_report

        try:
            report = write_report(self.records)
        except StorageError as error:
            tracker.close({}, failed=True, interrupted=True)
            return self._end_without_storage(error)
        results = report.summary.trials
        failed = [result for result in results if result.status == "failed"]
        for result in results:
            for note in result.notes:
                self._say(f"trial {result.trial_id}: {note}", "yellow")
        if not interrupted:
            print_report(report, self.console)
        stop = self.meter.stop
        more = interrupted or stop is not None
        missing = tracker.close(headline(report.summary), bool(failed), more)
        for result in failed:
            reason = result.reason.splitlines()[0] if result.reason else "no reason recorded"
            self._say(f"trial {result.trial_id} failed: {reason}", "red")
        self._say_what_next(missing, interrupted, stop)
        if interrupted:
            return INTERRUPTED
        if failed:  # also where its budget ended the sweep: what failed is to be looked at first
            return SOME_FAILED
        return DONE if stop is None else OUT_OF_BUDGET

    def _end_without_storage(self, error: BaseException) -> int:
        self._say(f"The records cannot be written: {storage_problem(error)}", "red")
        self._say_what_next("", interrupted=True)
        return SOME_FAILED

    def _say_what_next(self, missing: str, interrupted: bool, stop: Stop | None = None) -> None:
        lines = (
            [line] if (line := used_line(self.meter.spent, self.plan.resources, self.price)) else []
        )
        folder = self.records.folder.path
        if interrupted:
            lines.append(f"Interrupted. Resume with:\n  {provenance.repeat_command()}")
        else:
            if stop is not None:
                text = f"Stopped by its {stop.budget}. Resume with a larger one:"
                lines.append(f"{text}\n  {stop.resume_command}")
            lines.append(f"Report: {folder}/report/report.html")
        if missing:
            lines.append(missing)
        lines.append(f"Compare runs in the MLflow UI:\n  {self.description.tracking}")
        self._say("\n".join(lines))
