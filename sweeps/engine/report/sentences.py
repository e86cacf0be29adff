"""What the sweep found, in sentences; each page and picture takes its words from here."""

from collections import Counter

from gon_core.corruptions.mnist_c import CORRUPTIONS
from sweeps.engine.report.aggregate import SHORT_STATUS, Estimate, SweepSummary, ValueSummary

INTERVALS = (
    "± is half of the 95 % interval: Student t over seeds; where one seed was measured (marked *), "
    "binomial over test images, each counted once."
)


def number(value: float) -> str:
    """Return a value of the parameter, as short as it is exact enough to tell values apart."""
    return f"{value:.6g}"


def percent(value: float | None) -> str:
    """Return an accuracy in percent with one decimal; nothing for None."""
    return "" if value is None else f"{value:.1f}"


def plural(count: int, noun: str) -> str:
    """Return ``1 trial`` or ``2 trials``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def status_counts(statuses: Counter) -> str:
    """Return for example ``2 budget, 1 pruned``."""
    return ", ".join(
        f"{statuses[status]} {word}" for status, word in SHORT_STATUS.items() if statuses[status]
    )


def interval(estimate: Estimate) -> str:
    """Return which interval it is and both its ends."""
    low, high = percent(estimate.interval.low), percent(estimate.interval.high)
    if estimate.is_over_seeds:
        return f"95 % t interval over {estimate.trials} seeds: {low} to {high} %"
    return f"95 % binomial interval over the test images of one seed: {low} to {high} %"


def answer(summary: SweepSummary) -> list[str]:
    """Return what was found, the most important first."""
    return [*_best(summary), *_paper(summary)]


def _best(summary: SweepSummary) -> list[str]:
    best, name = summary.best, summary.parameter
    if best is None:
        if not summary.trials:
            return ["No best value: no trial has ended yet."]
        if not summary.measured:
            return ["No best value: no trial was measured."]
        return ["No best value: no value has been measured with all its seeds."]
    assert best.test is not None and best.objective is not None
    sentences = [
        f"Best: {name} {number(best.value)}, chosen by its mean validation accuracy of "
        f"{percent(best.objective.estimate)} %. {summary.measure} test accuracy: "
        f"{percent(best.test.mean)} % ({interval(best.test)})."
    ]
    if best.statuses["max_epochs"]:
        sentences.append(
            f"{best.statuses['max_epochs']} of its {plural(len(best.trials), 'trial')} ended with "
            "the epoch budget, not converged."
        )
    if rivals := _rivals(summary, best):
        sentences.append(
            f"Its validation interval overlaps with that of {name} {', '.join(rivals)}."
        )
    ends = (summary.measured[0].value, summary.measured[-1].value)
    if len(summary.measured) == 1:
        sentences.append("It is the only value that was measured.")
    elif best.value in ends:
        end = "least" if best.value == ends[0] else "greatest"
        sentences.append(f"It is the {end} value that was measured: the optimum may lie beyond.")
    return sentences


def _rivals(summary: SweepSummary, best: ValueSummary) -> list[str]:
    # An interval of one seed has NaN ends, which overlap with nothing.
    assert best.objective is not None
    return [
        number(other.value)
        for other in summary.measured
        if other is not best
        and other.objective is not None
        and other.objective.high >= best.objective.low
        and best.objective.high >= other.objective.low
    ]


def _paper(summary: SweepSummary) -> list[str]:
    paper = summary.description["parameter"].get("paper")
    if paper is None or summary.published.figure is None:
        return ["No figures were published for this question on this data set."]
    accuracy = summary.published.curve.get(paper)
    reached = "" if accuracy is None else f", with {percent(accuracy)} %"
    return [f"Published optimum: {summary.parameter} {number(paper)}{reached}, at paper scale."]


def cut_short(summary: SweepSummary) -> str:
    """Return what was cut short in one sentence; empty if nothing was."""
    cuts = [str(cut).strip().rstrip(".") for cut in summary.description.get("cuts") or []]
    return f"Cut short: {'; '.join(cuts)}." if cuts else ""


def how_trials_ended(summary: SweepSummary) -> str:
    """Return how many trials ended how, and which are still missing."""
    if not summary.trials:
        sentence = "No trial has ended yet."
    else:
        statuses = Counter(trial.status for trial in summary.trials)
        sentence = f"{plural(len(summary.trials), 'trial')} ended: {status_counts(statuses)}."
        if statuses["max_epochs"]:
            sentence += " Budget: the epochs ran out before convergence."
    if summary.missing:
        first = [f"{number(value)} seed {seed}" for value, seed in summary.missing[:5]]
        more = len(summary.missing) - len(first)
        rest = f" and {more} more" if more else ""
        sentence += (
            f" {plural(len(summary.missing), 'trial')} not ended: {summary.parameter} "
            f"{', '.join(first)}{rest}."
        )
    return sentence


def what_was_measured(summary: SweepSummary) -> str:
    """Return what the columns of the table are."""
    return (
        f"Test accuracy in percent, mean over seeds; {summary.measure} is the plain mean over the "
        f"{len(CORRUPTIONS)} corruptions. The best value is chosen by validation accuracy alone, "
        "among the values that were measured with every seed."
    )
