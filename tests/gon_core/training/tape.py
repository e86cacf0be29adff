"""What stands for a CUDA graph on a CPU: a tape of the operations of some work."""

import torch
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ATEN = torch.ops.aten
WAITS = {
    ATEN._local_scalar_dense.default, ATEN.equal.default, ATEN.lift_fresh.default,
    ATEN.masked_select.default, ATEN.nonzero.default,
}  # fmt: skip


class Tape(TorchDispatchMode):
    """Records operations below autograd, with all their numbers, and does them again.

    Tensors and random streams that were there before are used as they are by then; what an
    operation made, the following ones take from it. As with a CUDA graph everything else is frozen,
    and what the host reads or sends is refused.
    """

    def __init__(self):
        super().__init__()
        self._operations, self._made, self._before, self._places = [], {}, {}, {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func not in WAITS, f"{func} makes the host wait for the device"
        if func in (ATEN.index.Tensor, ATEN.index_put_.default):
            assert not any(index is not None and index.dtype == torch.bool for index in args[1])
        leaves = tree_leaves((args, kwargs or {}))
        for leaf in leaves:
            if id(leaf) in self._before or id(leaf) in self._made:
                continue
            if isinstance(leaf, Tensor):
                self._before[id(leaf)] = leaf, leaf.detach().clone()
                self._places[id(leaf)] = leaf.data_ptr()
            elif isinstance(leaf, Generator):
                self._before[id(leaf)] = leaf, leaf.get_state()
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and id(leaf) not in self._before:
                self._made[id(leaf)] = leaf  # alive, so that no other gets its id
        self._operations.append((func, args, kwargs or {}, result))
        return result

    def undo(self):
        """Set all that was there before to what it was."""
        for found, was in self._before.values():
            if isinstance(found, Generator):
                found.set_state(was)
            else:
                found.detach().copy_(was)

    @torch.no_grad()
    def play(self):
        """Do all operations again."""
        now = {}
        for found, _ in self._before.values():
            if isinstance(found, Tensor):
                assert found.data_ptr() == self._places[id(found)], "a graph reads the old place"

        def current(value):
            if isinstance(value, list | tuple):
                return [current(part) for part in value]
            return now.get(id(value), value)

        for func, args, kwargs, result in self._operations:
            again = func(*map(current, args), **{key: current(kwargs[key]) for key in kwargs})
            found = zip(*map(_listed, (result, again)), strict=True)
            now |= {id(old): new for old, new in found if id(old) in self._made}


def _listed(result):
    return result if isinstance(result, list | tuple) else [result]


class TapeRecorder:
    """A ``recordings.Recorder`` for a CPU; counts what it was asked for."""

    def __init__(self):
        self.tried, self.recorded, self.replayed = 0, 0, 0

    def try_out(self, work):
        self.tried += 1
        work()
        return True

    def record(self, work):
        self.recorded += 1
        tape = Tape()
        with tape:
            work()
        tape.undo()

        def replay():
            self.replayed += 1
            tape.play()

        return replay
