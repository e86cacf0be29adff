"""Errors of the storage that the records are kept in."""

from sweeps.engine.system.provenance import redact


class StorageError(RuntimeError):
    """The storage cannot be used: a disk is full, a store does not answer. One line, no password.

    No ``OSError``: it must not be taken for a file that is missing or damaged.

    Args:
        uri: of the file or folder; its parameters are left out.
        reason: why, in one line.
    """

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(f"{redact(uri.partition('?')[0])}: {reason}")
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return StorageError, (str(self).removesuffix(f": {self.reason}"), self.reason)


class OutsideError(ValueError):
    """A name leads out of its folder."""
