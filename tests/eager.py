"""Without the seconds of compiling the epsilon sphere: in this process and in those it starts."""

from gon_core.noise import newton


def use_eager_kernels(patch):
    """Let trainings run on eager kernels until ``patch``, a MonkeyPatch, is undone.

    The environment alone would not do: a process that has once chosen keeps to that, so that tests
    of the compiled kernels which come later would find none.
    """
    patch.setenv(newton.FUSION_VARIABLE, "eager")
    patch.setattr(newton, "solver", lambda device_type: newton.EAGER)
