"""The median perturbation size epsilon*: how much noise it takes to fool a classifier.

Each image gets one direction of noise. Its size is the least l2 distance along that direction,
after clipping, at which it is misclassified: 0 if it is wrong without noise, infinity if it is
right at every distance that its noise can reach.

The median alone does not need the size of every image. If an image that is right at one size is
right at all smaller ones, two radii close together are enough, so that fewer than half of the
images are wrong at the one and half of them at the other: most images are on one side of both after
one look (``gon_core.evaluation.median_search``). That half of the images are wrong at the median
or at less holds in any case. Whether it may be too large is checked on a sample of the images that
are right there: they are classified at smaller sizes as well, and if too many are wrong every image
is searched.
"""

from typing import Literal

import torch
from jaxtyping import Float64
from torch import Generator, Tensor, nn

from gon_core.data.splits import Images
from gon_core.evaluation.frozen import frozen
from gon_core.evaluation.median_search import find_ranks, look_below
from gon_core.evaluation.noise_directions import Noise
from gon_core.evaluation.size_search import start
from gon_core.measurement import Extra, Measurement
from gon_core.training.recordings import MakeRecordings, on_device

CONFIDENCE = 0.95


def median_perturbation_size(
    model: nn.Module,
    data: Images,
    noise: Noise,
    stream: Generator,
    *,
    precision: float = 1e-3,
    tolerance: float = 0.05,
    count_never: bool = False,
    search: Literal["auto", "per image"] = "auto",
    converged: bool = True,
    recordings: MakeRecordings = on_device,
) -> Measurement:
    """Return epsilon*, the least size at which at least half of the images are misclassified.

    The size of every image is searched if, of the images that are right at the median, more than a
    share ``tolerance`` are wrong at a smaller size. Otherwise the
    median can be too large by the sizes of half that share of all images, beyond ``precision``.

    Args:
        model: images in [0, 1] -> logits, on the images' device; measured in evaluation mode and
            restored.
        data: images and labels, at least one.
        noise: one of ``NOISES``, or what ``adversarial_noise`` returns.
        stream: source of the noise, on the images' device.
        precision: of the median and of its interval, in l2 norm on images in [0, 1], >= 1e-5.
        tolerance: share of the sample, 0 to 1; 1 never searches every image.
        count_never: whether to look at each image that is right beyond the median at the end of its
            noise's reach too, to count those that no size leads to another class. It does not
            change the median and takes a look at up to half of the images.
        search: "per image" to search the size of every image in any case.
        converged: whether the generator that makes the noise has converged, for the row.
        recordings: makes what classifies images at their sizes.

    Returns:
        The median as ``value``: the least size at which half of the images are misclassified;
        infinity where it takes more than all noise. At least half are misclassified at it or at
        less in any case. It is at most ``precision`` too large if every image that is right at it
        is right at all smaller sizes, which ``non_monotone`` shows, and after a search for each
        image if none is misclassified between two radii of its grid alone. Further columns:

        - ``low``, ``high``: ends of the median's distribution-free 95 % confidence interval.
        - ``already_wrong``: images misclassified without noise, whose size is 0.
        - ``never``: images that are right at the end of their noise's reach, whose size is
          infinity; absent where not all of them were tried there.
        - ``saturated``: images that cannot be moved by the median, because all of their pixels that
          have noise clip before. Beyond that they stay as they are, at their largest size.
        - ``sampled``: images right at the median that were tried at smaller sizes as well; 0 if
          the size of every image was searched from the start.
        - ``non_monotone``: those of them that are misclassified at a smaller size.
        - ``per_image``: whether the size of every image was searched, and not the median alone.
        - ``forwards``: images that went through the classifier in all.
        - ``precision``: of the sizes.
        - ``converged``: whether the generator that makes the noise had converged.

    Raises:
        ValueError: an argument out of range; the message names all of them.

    References:
        The paper's Table 2 and appendix I. The interval is that of order statistics, whose ranks
        are binomial: David & Nagaraja, Order Statistics, 2003, section 7.1.
    """
    problems = _problems(data, precision)
    if not 0 <= tolerance <= 1:
        problems.append(f"tolerance must be from 0 to 1, got {tolerance}")
    if search not in ("auto", "per image"):
        problems.append(f'search must be "auto" or "per image", got {search!r}')
    if problems:
        raise ValueError("; ".join(problems))
    with frozen(model), torch.no_grad():
        found = start(model, data, noise, stream, precision, recordings)
        first, middle, last = ranks(len(data))
        sampled = non_monotone = 0
        per_image = search == "per image"
        if not per_image:
            find_ranks(found, first, middle, last)
            sampled, non_monotone = look_below(found, middle, tolerance)
            per_image = non_monotone > tolerance * sampled
        if per_image:
            found.search_each()
        elif count_never:
            found.exhaust()
    undecided = found.wrong.isinf() & found.right.isfinite()
    median = found.bracket(middle)[1]
    extra: dict[str, Extra] = {
        "low": found.bracket(first)[0],
        "high": found.bracket(last)[1],
        "already_wrong": int((found.wrong == 0).sum()),
        "saturated": int((found.reach < median).sum()),
        "sampled": sampled,
        "non_monotone": non_monotone,
        "per_image": per_image,
        "forwards": found.forwards,
        "precision": precision,
        "converged": converged,
    }
    if not undecided.any():
        extra["never"] = int(found.right.isinf().sum())
    return Measurement(
        measure="epsilon_star",
        split="test",
        setting=noise.name,
        value=median,
        count=len(data),
        extra=extra,
    )


def perturbation_sizes(
    model: nn.Module,
    data: Images,
    noise: Noise,
    stream: Generator,
    *,
    precision: float = 1e-3,
) -> Float64[Tensor, " image"]:
    """Return the least size that is found for each image, at most ``precision`` too large.

    It is the first on a grid of radii at which the image is wrong, moved down by bisection to where
    the class changes. Misclassification between two radii of the grid alone goes unseen.

    Args:
        model, data, noise, stream, precision: as for ``median_perturbation_size``, with whose
            search per image it agrees.

    Raises:
        ValueError: an argument out of range; the message names all of them.
    """
    if problems := _problems(data, precision):
        raise ValueError("; ".join(problems))
    with frozen(model), torch.no_grad():
        found = start(model, data, noise, stream, precision)
        found.search_each()
    return found.wrong


def share_non_monotone(row: Measurement) -> float:
    """Return the share of ``sampled`` images that are right again at the median, in percent."""
    sampled, wrong_below = row.number("sampled"), row.number("non_monotone")
    return 100 * wrong_below / sampled if sampled and wrong_below else 0.0


def ranks(count: int) -> tuple[int, int, int]:
    """Return the ranks, from 1, of the median and of the ends of its 95 % interval.

    A rank of 0, or of ``count`` + 1, means that so few images give no limit.
    """
    from scipy import stats  # slow: trials that measure no epsilon* do not pay for it

    first = int(stats.binom.ppf((1 - CONFIDENCE) / 2, count, 0.5))
    return first, (count + 1) // 2, count + 1 - first


def _problems(data: Images, precision: float) -> list[str]:
    problems = [] if len(data) else ["there are no images"]
    if not 1e-5 <= precision < torch.inf:
        problems.append(f"precision must be a finite number of at least 1e-5, got {precision}")
    return problems
