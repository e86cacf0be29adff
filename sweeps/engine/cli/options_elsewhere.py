"""Which commands have the options that not all have, to say so where one is given to another."""

ADVERSARIAL = (
    "epsilon_sphere", "generator_depth", "generator_reset_interval", "experience_replay",
    "joint_search",
)  # fmt: skip
EVALUATION = ("evaluate_checkpoint",)
COMMANDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "epsilon", "kernel_size", "depth", "reset_interval", "generator_learning_rate",
            "clean_share", "past_share", "current_share", "pretraining_steps",
        ),
        ADVERSARIAL,
    ),
    **dict.fromkeys(
        (
            "checkpoints", "names", "architecture", "mnist_c", "imagenet", "imagenet_c",
            "cpus", "gpus_per_shard",
        ),
        EVALUATION,
    ),
    "sigmas": ("sigma_line_search",),
    "epsilons": ("epsilon_sphere",),
    "depths": ("generator_depth",),
    "kernel_sizes": ("generator_depth",),
    "batch_sizes": ("training_recipe",),
    "decay_counts": ("training_recipe",),
    "models": ("backbones",),
    "weights_of": ("backbones",),
    "reset_intervals": ("generator_reset_interval",),
    "objectives": ("joint_search",),
    "warm_start": ("joint_search",),
}  # fmt: skip
"""By option the scripts that have it; of options that every sweep has, none."""


def elsewhere(name: str) -> str:
    """Return which commands have an option, in words; empty if none is known to."""
    scripts = COMMANDS.get(name.lstrip("-").replace("-", "_"), ())
    files = [f"{script}.py" for script in scripts]
    if not files:
        return ""
    return f"is an option of {', '.join(files[:-1])}{' and ' * (len(files) > 1)}{files[-1]}"
