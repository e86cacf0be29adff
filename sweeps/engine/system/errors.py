"""What a storage may raise, whatever it is made of."""

from sweeps.engine.system.provenance import redact


class StorageError(RuntimeError):
    """The storage did not do what it was asked; the message is one line without any password.

    No ``OSError``: a storage that is away must not be taken for a file that is damaged.

    Args:
        uri: what was asked for; its parameters are left out.
        reason: why, in one line.
    """

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(f"{redact(uri.partition('?')[0])}: {reason}")
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return StorageError, (str(self).removesuffix(f": {self.reason}"), self.reason)


class OutsideError(ValueError):
    """A name leads out of its folder."""
