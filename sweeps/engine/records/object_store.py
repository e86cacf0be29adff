"""Object stores (S3, Google Cloud Storage): opened by their URI; failed requests are repeated.

A request that is answered with 5xx, or cut, or not answered, is repeated with growing pauses, first
by the store's own client and then by ``persist``, for a limited time. What a repetition cannot
change (no such bucket, no permission, a wrong key) is an error at once.
"""

import logging
import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

import pyarrow
from pyarrow import fs

from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.provenance import redact

PATIENCE = 120.0  # seconds: a store is often away for a minute, a sweep takes hours
SHORT_PATIENCE = 8.0  # seconds, before a sweep starts: with the last attempt it may be 15
TRY_SECONDS = 20.0  # then, whatever the client does: Google's waits two minutes for a silent server
ATTEMPTS = 2  # of S3's own client: a silent server takes three seconds of each
GCS_SECONDS = 5  # of Google's own client, which would otherwise repeat for 15 minutes
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0  # seconds; each pause is twice the one before
SAID_AFTER = 20.0  # seconds of waiting that are worth a warning
# Up to this size one request writes a file; larger ones are written in parts, which the store puts
# together at the end. Written as one, a large file whose first request fails would be left in part.
ONE_REQUEST_BYTES = 5 * 1024**2

TRANSIENT = re.compile(
    r"NETWORK_CONNECTION|INTERNAL_FAILURE|SERVICE_UNAVAILABLE|SLOW_DOWN|THROTTLING|REQUEST_TIMEOUT"
    r"|NO_SUCH_UPLOAD"  # the answer to the end of an upload got lost, and it was ended twice
    r"|HTTP status (5\d\d|408|429)"
    r"|Status\((UNAVAILABLE|INTERNAL|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|ABORTED|UNKNOWN)"
)

log = logging.getLogger(__name__)
T = TypeVar("T")


def check(uri: str) -> None:
    """Look at the URI of a store, or of a local folder (``file://``), without asking the store.

    Raises:
        ValueError: pyarrow cannot read it, or it names no bucket.
    """
    if not uri.startswith("file:") and not urlsplit(uri).netloc.rpartition("@")[2]:
        raise ValueError("must name a bucket, as in s3://bucket/sweeps")
    if uri.startswith("s3:") and not _has(uri, "region"):
        uri = _with(uri, "region", "us-east-1")  # otherwise S3 is asked where the bucket is
    try:
        fs.FileSystem.from_uri(uri)
    except (pyarrow.ArrowException, ValueError) as error:
        hint = "special characters of a key are percent-encoded, / as %2F"
        raise ValueError(f"cannot be read as a URI: {one_line(error)} ({hint})") from None


def is_google(uri: str) -> bool:
    """Return whether a URI is of Google Cloud Storage."""
    return uri.startswith(("gs:", "gcs:"))


def path_of(uri: str) -> str:
    """Return the path of a URI on its filesystem: the bucket, then the folders."""
    parts = urlsplit(uri)
    return (parts.netloc.rpartition("@")[2] + unquote(parts.path)).rstrip("/")


def open_store(uri: str, one_request: bool = False) -> fs.FileSystem:
    """Return the filesystem of a URI; one client serves every path of a store.

    Args:
        uri: of any file or folder.
        one_request: for writing files of at most ``ONE_REQUEST_BYTES``.

    Raises:
        OSError: the store does not answer.
        ValueError: pyarrow cannot read the URI.
    """
    return _open(urlunsplit(urlsplit(uri)._replace(path="", fragment="")), one_request)


@lru_cache
def _open(root: str, one_request: bool) -> fs.FileSystem:
    if is_google(root) and not _has(root, "retry_limit_seconds"):
        root = _with(root, "retry_limit_seconds", str(GCS_SECONDS))
    try:
        filesystem, _ = fs.FileSystem.from_uri(root)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{redact(root)} cannot be opened ({one_line(error)})") from None
    if not isinstance(filesystem, fs.S3FileSystem):
        return filesystem
    # A URI has no word for these two, and by default the client repeats for minutes.
    _, (settings,) = filesystem.__reduce__()
    retry = fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS)
    return fs.S3FileSystem(
        **settings | {"allow_delayed_open": one_request, "retry_strategy": retry}
    )


def persist(ask: Callable[[], T], uri: str, patience: float = PATIENCE) -> T:
    """Return what ``ask`` returns; while the store fails, call it again.

    Args:
        ask: may be called several times.
        uri: named in the error, without its secrets.
        patience: seconds after which it is not called again.

    Raises:
        FileNotFoundError: there is no such file.
        StorageError: the store refuses, or keeps failing.
    """
    began, pause, said = time.monotonic(), FIRST_PAUSE, False
    while True:
        try:
            return ask()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise
        except OSError as error:
            reason, transient = one_line(error), TRANSIENT.search(str(error))
        waited = time.monotonic() - began
        if not transient:
            raise StorageError(uri, reason)
        if waited + pause > patience:
            raise StorageError(uri, f"no success in {waited:.0f} s: {reason}")
        if waited > SAID_AFTER and not said:
            log.warning(
                "the storage does not answer; trying for up to %.0f s: %s", patience, reason
            )
            said = True
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def one_line(error: Exception) -> str:
    """Return what an error of pyarrow says in one line, without secrets and request numbers."""
    noise = (
        r" \(Request ID: [^)]*\)|: No response body\.?"
        r"|Retry policy exhausted, with a last message of | error_info=\{.*\}"
    )
    text = re.sub(noise, "", str(error))
    return redact(" ".join(text.split()))


def _has(uri: str, parameter: str) -> bool:
    return re.search(rf"(^|&){parameter}=", urlsplit(uri).query) is not None


def _with(uri: str, parameter: str, value: str) -> str:
    parts = urlsplit(uri)
    query = "&".join(filter(None, (parts.query, f"{parameter}={value}")))
    return urlunsplit(parts._replace(query=query))
