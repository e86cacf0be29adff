"""The attacks that models are tested under, by their settings. Imports no torch."""

import math
from dataclasses import dataclass
from typing import ClassVar


def _check(steps: int, **sizes: float) -> None:
    # NaN is not > 0 either.
    problems = [
        f"{name} must be > 0, got {value}" for name, value in sizes.items() if not value > 0
    ]
    problems += [
        f"{name} must be finite, got inf" for name, value in sizes.items() if value == math.inf
    ]
    if steps < 1:
        problems.append(f"steps must be at least 1, got {steps}")
    if problems:
        raise ValueError("; ".join(problems))


@dataclass(frozen=True)
class PGDAttack:
    """Projected gradient descent from a random start in the l-infinity ball.

    Attributes:
        size: radius of the ball, in [0, 1] pixel units, > 0.
        step_size: of each step along the sign of the gradient, in the same unit, > 0.
        steps: at least 1.

    Raises:
        ValueError: names every attribute that is out of range.

    References:
        Madry et al., "Towards deep learning models resistant to adversarial attacks", 2017; the
        defaults are those of appendix F for MNIST; for ImageNet see ``ON_IMAGENET``.
    """

    name: ClassVar[str] = "pgd"
    norm: ClassVar[str] = "linf"
    size: float = 0.1
    step_size: float = 0.01
    steps: int = 100

    def __post_init__(self) -> None:
        _check(self.steps, size=self.size, step_size=self.step_size)


@dataclass(frozen=True)
class DDNAttack:
    """The nearest misclassified image in l2 that decoupling direction and norm finds.

    The steps do not know ``size``: an image is broken, and left out of the others, once what was
    found is that near.

    Attributes:
        size: largest l2 distance from an image in [0, 1], > 0.
        gamma: share by which the norm shrinks or grows at each step, in (0, 1).
        steps: at least 1.
        init_norm: l2 size of the first step, > 0.

    Raises:
        ValueError: names every attribute that is out of range.

    References:
        Rony et al., "Decoupling direction and norm for efficient gradient-based l2 adversarial
        attacks and defenses", 2019; the defaults are those of appendix F for MNIST, which
        does not give ``init_norm``: it is Rony et al.'s.
    """

    name: ClassVar[str] = "ddn"
    norm: ClassVar[str] = "l2"
    size: float = 1.5
    gamma: float = 0.05
    steps: int = 100
    init_norm: float = 1.0

    def __post_init__(self) -> None:
        _check(self.steps, size=self.size, gamma=self.gamma, init_norm=self.init_norm)
        if self.gamma >= 1:
            raise ValueError(f"gamma must be below 1, got {self.gamma}")


Attack = PGDAttack | DDNAttack

ON_DIGITS: dict[str, Attack] = {"pgd": PGDAttack(), "ddn": DDNAttack()}
"""Appendix F for MNIST. By the setting of the rows, in the order in which they are made."""
ON_IMAGENET: dict[str, Attack] = {
    f"{name}{words}": attack
    for words, steps in (("", 200), ("_100_steps", 100))
    for name, attack in (
        ("pgd", PGDAttack(size=0.001, step_size=0.0001, steps=steps)),
        ("ddn", DDNAttack(size=0.125, gamma=0.02, steps=steps, init_norm=0.125)),
    )
}
"""Appendix F for ImageNet, and with half as many steps: the appendix says that the other half "did
not make a significant difference". It does not give ``init_norm``. From Rony et al.'s 1 a hundred
steps would end at 0.13 at the least, and break no image; here the first step is as long as the
largest that counts."""
