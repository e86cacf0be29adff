"""Which trials need not be trained, since another sweep under the same storage has them."""

from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning.plan import Plan
from sweeps.engine.records import OtherSweeps, SweepRecords
from sweeps.engine.records.storage import Folder


def other_sweeps(
    plan: Plan, options: SweepOptions, storage: Folder, data_digest: str
) -> OtherSweeps | None:
    """List the trials of other sweeps; None if trials are to be trained again."""
    if options.fresh:
        return None
    return OtherSweeps.under(storage, plan.name, data_digest, plan.resources.device)


def reusable_trials(
    plan: Plan, records: SweepRecords, others: OtherSweeps | None
) -> dict[str, str]:
    """Return the known trials that need not be trained, by id, and the sweep that has each."""
    found: dict[str, str] = {}
    if others is None:
        return found
    for trial_id in (config.trial_id for config in plan.known_trials):
        here = records.trial(trial_id).result()
        is_done = here is not None and here.is_final
        if not is_done and (elsewhere := others.find(trial_id)) is not None:
            result, trial = elsewhere
            found[trial_id] = result.reused_from or trial.sweep
    return found


def fresh_name(storage: Folder, name: str) -> str:
    """Return a name that no sweep has yet: with a number behind it where one does."""
    taken, number = set(storage.names()), 1
    found = name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    return found
