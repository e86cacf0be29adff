"""What the sweep found, in sentences; each page and picture takes its words from here."""

import math
from collections import Counter
from collections.abc import Sequence

from gon_core.benchmarks import THE_PAPER, Published
from search_spaces.parameter import Choice, papers_point, value_text
from sweeps.engine.report.summary.aggregate import SHORT_STATUS, PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import Estimate
from sweeps.engine.report.summary.importance import Importances
from sweeps.engine.report.summary.published import paper_model
from sweeps.engine.report.summary.selection import selection_bias
from sweeps.engine.report.summary.training_match import KINDS, TrainingMatch, match_training
from sweeps.engine.system.text import plural

INTERVALS = (
    "± is half of the 95 % interval: Student t over seeds, on the scale of angles that keeps it "
    "within 0 to 100 %; where one seed was measured (marked *), over test images, each by its mean "
    "over corruptions."
)
METHODS = "variant"  # the parameter whose values are names of methods, which need no name before
LISTED = 5  # of points in a sentence
NAMED = 40  # of values of one parameter, which are short
LEAST_BIAS = 0.05  # points that the best accuracy is too high, below which no sentence says so
UNATTAINABLE = 1.0  # percent of images above which a sentence says so


def percent(value: float | None) -> str:
    """Return an accuracy in percent with one decimal; nothing for None."""
    return "" if value is None else f"{value:.1f}"


def listed(texts: Sequence[str], separator: str = "; ", most: int = LISTED) -> str:
    """Return the first few and how many more there are."""
    more = len(texts) - most
    return separator.join(texts[:most]) + (f" and {more:,} more" if more > 0 else "")


def row_name(summary: SweepSummary, point: PointSummary) -> str:
    """Return what a table calls a point: a method by its name alone, any other in words."""
    if summary.names == (METHODS,) or summary.is_baseline(point.point):
        return str(point.point[0])
    return _short_name(summary, point)


def _short_name(summary: SweepSummary, point: PointSummary) -> str:
    return f"#{point.number}" if summary.search == "joint" else summary.text(point.point)


def answer(summary: SweepSummary, importances: Importances) -> list[str]:
    """Return what was found, the most important first."""
    return [
        *_best(summary),
        *_baselines(summary),
        *_trains_alike(summary),
        *_front(summary),
        *_importance(summary, importances),
        *_unattainable(summary),
        *_paper(summary),
        *_reused(summary),
    ]


def _best(summary: SweepSummary) -> list[str]:
    best, kind = summary.best, summary.kind
    if best is None:
        why = f"no {kind} has been measured with all its seeds"
        if not summary.measured:
            why = "no trial was measured" if summary.trials else "no trial has ended yet"
        return [f"No best {kind}: {why}."]
    assert best.test is not None and best.objective is not None
    what = "Best" if summary.stopped is None else f"Best of the {kind}s measured so far"
    text = summary.text(best.point)
    name = f"#{best.number} ({text})" if summary.search == "joint" else text
    sentences = [
        f"{what}: {name}, chosen by its mean {_chosen_by(summary)} of "
        f"{percent(best.objective.estimate)} %. {summary.measure} test accuracy: "
        f"{_accuracy(best.test)}."
    ]
    if limited := best.statuses["max_epochs"]:
        trials = len(best.trials)
        which = "Its only trial" if trials == 1 else f"{limited} of its {trials} trials"
        sentences.append(f"{which} reached the epoch limit, not converged.")
    bias = selection_bias(summary.measured)
    if bias is not None and bias >= LEAST_BIAS:
        sentences.append(
            f"The test accuracy is some {bias:.1f} points too high: of {kind}s that are equally "
            "good the luckiest is chosen, and luck on validation images is luck on test images "
            "(simulated from the spread of this sweep over seeds)."
        )
    if rivals := _rivals(summary, best):
        sentences.append(f"Its validation interval overlaps with that of {rivals}.")
    if len(summary.measured) == 1:
        sentences.append(f"It is the only {kind} that was measured.")
    elif end := _end(summary, best):
        sentences.append(f"It is the {end} value that was measured: the optimum may lie beyond.")
    return sentences


def _reused(summary: SweepSummary) -> list[str]:
    origins = Counter(trial.reused_from for trial in summary.trials if trial.reused_from)
    if not origins:
        return []
    were = "was" if origins.total() == 1 else "were"
    return [f"{plural(origins.total(), 'trial')} {were} trained by {listed(list(origins), ', ')}."]


def _accuracy(test: Estimate) -> str:
    """Return the accuracy, which interval it has and both its ends."""
    over = "interval over the test images of one seed"
    if test.is_over_seeds:
        over = f"t interval over {test.trials} seeds"
    low, high = percent(test.interval.low), percent(test.interval.high)
    return f"{percent(test.mean)} % (95 % {over}: {low} to {high} %)"


def _chosen_by(summary: SweepSummary) -> str:
    chosen = [trial.config.evaluation.objective for p in summary.points for trial in p.trials[:1]]
    selection = summary.benchmark.validation_suite(chosen[0] if chosen else "own")
    if selection.corruptions != summary.suite.corruptions:
        return f"accuracy on validation images under {selection.title}"
    several = len(summary.objectives) > 1
    return "accuracy on corrupted validation images" if several else "validation accuracy"


def _end(summary: SweepSummary, best: PointSummary) -> str:
    # A choice has nothing beyond its values, and no parameter anything below its least.
    parameter, value = summary.parameters[0], best.point[0]
    if len(summary.names) > 1 or isinstance(parameter, Choice) or value == parameter.low:
        return ""
    first, last = summary.measured[0].point[0], summary.measured[-1].point[0]
    return {first: "least", last: "greatest"}.get(value, "")


def _rivals(summary: SweepSummary, best: PointSummary) -> str:
    # An interval of one seed has NaN ends, which overlap with nothing.
    assert best.objective is not None
    rivals = [
        other
        for other in summary.measured
        if other is not best
        and other.objective is not None
        and other.objective.high >= best.objective.low
        and best.objective.high >= other.objective.low
    ]
    if len(summary.names) == 1 and rivals:
        # The name once is enough, and a line has few values: all of them.
        values = [value_text(rival.point[0]) for rival in rivals]
        return f"{summary.labels[0]} {listed(values, ', ', NAMED)}"
    texts = [_short_name(summary, rival) for rival in rivals]
    return listed(texts, ", " if summary.search == "joint" else "; ")


def _baselines(summary: SweepSummary) -> list[str]:
    texts = [f"{p.point[0]} {_accuracy(p.test)}" for p in summary.baselines if p.test]
    if not texts:
        return []
    return [f"Baselines with the same start, epochs and seeds: {'; '.join(texts)}."]


def _trains_alike(summary: SweepSummary) -> list[str]:
    found = match_training(summary)
    return [] if found is None else training_match(summary, found)


def training_match(summary: SweepSummary, found: TrainingMatch) -> list[str]:
    """Return which epsilon trains as the reference does, by how much it differs."""
    name, texts, nearest = found.reference.point.point[0], [], []
    for kind, words in KINDS.items():
        each = found.nearest(kind)
        difference, unit = each.differences[kind], "" if kind == "train_loss" else " points"
        digits = 3 if kind == "train_loss" else 1
        text = f"{words} at epsilon {value_text(each.point.point[0])} "
        text += f"({difference.estimate:+.{digits}f}{unit}"
        if not math.isnan(difference.low):
            text += f", 95 % interval {difference.low:+.{digits}f} to {difference.high:+.{digits}f}"
        crossing = found.crossing(kind)
        where = "nowhere" if crossing is None else f"at {crossing:.3g}"
        texts.append(f"{text}; the line through the means crosses it {where})")
        nearest.append(each)
    what = "Nearest to the training of"
    if nearest[0] is nearest[1]:
        what = f"Epsilon {value_text(nearest[0].point.point[0])} matches best the training of"
    return [f"{what} {name}: {', '.join(texts)}."]


def _front(summary: SweepSummary) -> list[str]:
    if not summary.front:
        return []
    points = []
    for point in summary.front:
        means = (f"{name} {percent(i.estimate)}" for name, i in point.objectives.items())
        points.append(f"#{point.number} ({', '.join(means)})")
    count = plural(len(points), "point")
    return [
        f"Pareto front, {count} that no other surpasses on both clean and corrupted validation "
        f"images (in percent): {listed(points, most=NAMED)}."
    ]


def _importance(summary: SweepSummary, importances: Importances) -> list[str]:
    if summary.search == "joint" and not importances:
        return ["Importance of the parameters: too few points to tell."]
    sentences = []
    for objective, shares in importances.items():
        first = sorted(shares, key=lambda name: -shares[name])[:3]
        texts = ", ".join(f"{name} {100 * shares[name]:.0f} %" for name in first)
        sentences.append(f"What explains the {objective} accuracy most: {texts}.")
    return sentences


def _unattainable(summary: SweepSummary) -> list[str]:
    texts = [
        f"{_short_name(summary, point)}: {percent(point.unattainable)} % of them"
        for point in summary.points
        if point.unattainable and point.unattainable > UNATTAINABLE
    ]
    if not texts:
        return []
    return [f"For some images no scale of the noise reaches epsilon ({listed(texts)})."]


def _paper(summary: SweepSummary) -> list[str]:
    published, known = summary.published, summary.benchmark.published
    is_imagenet_c = summary.suite.reference_errors is not None
    if published.depths and not is_imagenet_c:
        return ["The paper's figures for this search, its Table 11, are for ImageNet-C."]
    if summary.has_checkpoints:
        if is_imagenet_c:
            return [_checkpoints_beside(summary)]
        if known is None:
            return [f"No published figures stand beside checkpoints on {summary.suite.title}."]
        return _rows_beside(summary, known) or [
            f"No checkpoint bears the name of a row of {known.source}'s {known.title}, so none "
            "stands beside a published figure: see --names."
        ]
    point = papers_point(summary.parameters)
    if point is None:
        return []
    if not published.means:
        sentence = "No figures were published for this search on this data set."
        on = f" on {summary.benchmark.title}" if known else ""
        uses = f"The paper's values{on}: {summary.text(point)}."
        return [sentence, uses] if summary.search == "joint" else [sentence]
    assert known is not None, "only a benchmark with published figures has such means"
    accuracy = published.means.get(point)
    if accuracy is None and known.source != THE_PAPER:
        return _rows_beside(summary, known)
    reached = "" if accuracy is None else f", with {percent(accuracy)} %"
    # Where a curve was published the paper's value is its optimum; else it is what it used.
    recipe = summary.benchmark.recipe
    what = "Published optimum" if published.curve else f"The choice of {recipe}"
    return [f"{what}: {summary.text(point)}{reached}, {known.trained}."]


def _checkpoints_beside(summary: SweepSummary) -> str:
    """Return which models of the paper's tables on ImageNet-C checkpoints stand beside."""
    models = {row_name(summary, p): paper_model(p.trials[0].config) for p in summary.points}
    if pairs := [
        name if name == model else f"{name} with {model}"
        for name, model in models.items()
        if model is not None
    ]:
        return f"Compared with models of the paper: {listed(pairs, ', ')}."
    return (
        "No checkpoint bears the name of a model of the paper with its architecture, so none "
        "stands beside a published figure: see --names, and python -m sweeps.engine.report tables."
    )


def _rows_beside(summary: SweepSummary, known: Published) -> list[str]:
    """Return which published rows stand beside ours, in a sentence; nothing if none does."""
    rows = summary.published.rows.items()
    models = [(value_text(point[0]), str(row["model"])) for point, row in rows]
    pairs = [name if name == model else f"{name} with {model}" for name, model in models]
    whose = f"rows of {known.source}'s {known.title}, {known.trained}"
    return [f"Compared with {whose}: {listed(pairs, ', ')}."] if pairs else []


def deviations(summary: SweepSummary) -> str:
    """Return the deviations from the paper or recipe, by scale and by a budget; empty if none."""
    found = [each.strip().rstrip(".") for each in summary.description.deviations]
    recipe = summary.benchmark.recipe
    by_scale = f"Deviations from {recipe}: {'; '.join(found)}." if found else ""
    return f"{by_scale} {stopped_by_budget(summary)}".strip()


def stopped_by_budget(summary: SweepSummary) -> str:
    """Return which budget stopped the sweep, and what is missing for it; empty if none did."""
    if summary.stopped is None:
        return ""
    points, proposals = summary.description.points, summary.description.proposals
    planned = (len(points) + proposals) * len(summary.description.seeds)
    ended = sum(trial.is_final for trial in summary.trials)
    sentence = f"Stopped by its {summary.stopped.budget}: {ended} of {planned} trials ended"
    measured = {point.point for point in summary.compared}
    if without := [summary.text(point) for point in points if point not in measured]:
        without_any = plural(len(without), summary.kind)
        sentence += f"; {without_any} without any figure: {listed(without)}"
    tried = {p.point for p in summary.points} | {p for p, _ in summary.missing}
    if (unproposed := proposals - len(tried - set(points))) > 0:
        sentence += f"; {plural(unproposed, summary.kind)} not yet proposed by the search"
    return f"{sentence}."


def how_trials_ended(summary: SweepSummary) -> str:
    """Return how many trials ended how, and which are still missing."""
    sentence = "No trial has ended yet."
    if summary.trials:
        statuses = Counter(trial.status for trial in summary.trials)
        counts = [f"{statuses[key]} {word}" for key, word in SHORT_STATUS.items() if statuses[key]]
        sentence = f"{plural(len(summary.trials), 'trial')} ended: {', '.join(counts)}."
        if statuses["max_epochs"]:
            sentence += " Epoch limit: it was reached before convergence."
    if summary.missing:
        texts = [
            f"{value_text(*point)} seed {seed}" if len(point) == 1
            else f"{summary.text(point)}, seed {seed}"
            for point, seed in summary.missing
        ]  # fmt: skip
        name, separator = "", "; "
        if len(summary.names) == 1:
            name, separator = f"{summary.labels[0]} ", ", "
        count = plural(len(summary.missing), "trial")
        sentence += f" {count} not ended: {name}{listed(texts, separator)}."
    return sentence


def what_was_measured(summary: SweepSummary) -> str:
    """Return what the columns of the table are."""
    kind = summary.kind
    return (
        f"Test accuracy in percent, mean over seeds; {summary.measure} is the plain mean over "
        f"{summary.suite.mean}. The best {kind} is chosen by {_chosen_by(summary)} alone, among "
        f"the {kind}s that were measured with every seed.{_published_images(summary)}"
    )


def _published_images(summary: SweepSummary) -> str:
    """Return that the corrupted images were read, not made, where a benchmark can do both."""
    trials = [trial for point in summary.points for trial in point.trials[:1]]
    if summary.benchmark.read_corrupted is None or not trials:
        return ""
    is_read = trials[0].config.evaluation.corruption_set is not None
    made = "those that were published" if is_read else "made here, by the published definitions"
    return f" Corrupted test images are {made}."
