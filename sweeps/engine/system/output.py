"""Standard output and error that survive everything: any encoding, closed, full, a broken pipe."""

import codecs
import os
import sys
import unicodedata
from typing import Any, TextIO

ASCII = {"±": "+-", "†": "^"}
"""What stands for a character where the encoding has none; boxes are drawn by rich in ASCII."""


def settle_output() -> None:
    """Let whatever this process prints be printed, or be lost without an error.

    What an encoding does not have gets a form in ASCII. Output that cannot be written (closed, a
    full disk, a pipe whose reader has ended) ends nothing, and is said once on standard error.
    """
    codecs.register_error("in_ascii", _in_ascii)
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:  # it was closed before this process began
            stream = open(os.devnull, "w")  # noqa: SIM115 (for as long as the process lives)
            setattr(sys, name, stream)
            if name == "stdout":
                print("standard output is closed: nothing is printed", file=sys.stderr)
        elif not isinstance(stream, _Lasting) and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="in_ascii")
            setattr(sys, name, _Lasting(stream, name))


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    return "".join(ASCII.get(each) or _plain(each) for each in found), error.end


def _plain(character: str) -> str:
    """Return a letter without its accent, or a question mark."""
    parts = unicodedata.normalize("NFKD", character)
    return "".join(part for part in parts if part.isascii()) or "?"


class _Lasting:
    """A text stream whose failure is said once, and then ignored."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self._name, self._is_lost = stream, name, False

    def write(self, text: str) -> int:
        """Write a text, if that is possible."""
        if not self._is_lost:
            try:
                self._stream.write(text)
            except OSError as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Write what waits, if that is possible."""
        if not self._is_lost:
            try:
                self._stream.flush()
            except OSError as error:
                self._lose(error)

    def _lose(self, error: OSError) -> None:
        self._is_lost = True
        if self._name == "stdout" and not isinstance(error, BrokenPipeError):
            reason = error.strerror or error
            print(f"standard output cannot be written ({reason}); it goes on", file=sys.stderr)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
