"""torch's optimizers without its compiler, whose import takes as long as that of torch itself.

A few of their methods are marked as not to be compiled, and import the compiler for it when they
are first called: a second or two of every process that trains. No step is compiled together with
its optimizer here, so that the methods below the marks do the same.
"""

import inspect
from typing import TypeVar, cast

import torch
from torch.optim import Optimizer

Kind = TypeVar("Kind", bound=Optimizer)
MARKED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def _uncompiled(kind: type[Kind]) -> type[Kind]:
    """Return ``kind`` with its methods as they are below torch's marks."""
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in MARKED}
    step = torch.no_grad()(inspect.unwrap(kind.step))
    made = type(kind.__name__, (kind,), methods | {"step": step})
    return cast(type[Kind], made)


SGD = _uncompiled(torch.optim.SGD)
Adam = _uncompiled(torch.optim.Adam)
