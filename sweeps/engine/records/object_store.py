"""Object stores (S3, Google Cloud Storage): opened by their URI; failed requests are repeated.

A request that gets no answer, or one of 5xx, is repeated with growing pauses for a limited time:
first by the store's own client, then by ``persist``. What a repetition cannot change (no such
bucket, no permission, a wrong key) is an error at once.
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
# Up to this size one request writes a file; a larger one is written in parts, which the store puts
# together at the end: written as one, it would be left in part if its first request failed.
ONE_REQUEST_BYTES = 5 * 1024**2

TRANSIENT = re.compile(
    r"NETWORK_CONNECTION|INTERNAL_FAILURE|SERVICE_UNAVAILABLE|SLOW_DOWN|THROTTLING|REQUEST_TIMEOUT"
    r"|NO_SUCH_UPLOAD"  # the answer to the end of an upload got lost, and it was ended twice
    r"|HTTP status (5\d\d|408|429)"
    r"|Status\((UNAVAILABLE|INTERNAL|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|ABORTED|UNKNOWN)"
)

NOISE = re.compile(  # in the texts of errors
    r" \(Request ID: [^)]*\)|: No response body\.?"
    r"|Retry policy exhausted, with a last message of | error_info=\{.*\}"
)

log = logging.getLogger(__name__)
T = TypeVar("T")


def check(uri: str) -> None:
    """Check the URI of a store, or of a local folder (``file://``), without any request.

    Raises:
        ValueError: pyarrow cannot read it, or it names no bucket.
    """
    if not uri.startswith("file:") and not urlsplit(uri).netloc.rpartition("@")[2]:
        raise ValueError("must name a bucket, as in s3://bucket/sweeps")
    if uri.startswith("s3:"):  # without a region S3 is asked where the bucket is
        uri = _with_default(uri, "region", "us-east-1")
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

    ``one_request`` is for writing files of at most ``ONE_REQUEST_BYTES``.
    """
    return _open(urlunsplit(urlsplit(uri)._replace(path="", fragment="")), one_request)


@lru_cache
def _open(root: str, one_request: bool) -> fs.FileSystem:
    if is_google(root):
        root = _with_default(root, "retry_limit_seconds", str(GCS_SECONDS))
    try:
        filesystem, _ = fs.FileSystem.from_uri(root)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{redact(root)} cannot be opened ({one_line(error)})") from None
    if not isinstance(filesystem, fs.S3FileSystem):
        return filesystem
    # A URI has no parameters for these two, and by default the client repeats for minutes.
    _, (settings,) = filesystem.__reduce__()
    retry = fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS)
    settings |= {"allow_delayed_open": one_request, "retry_strategy": retry}
    return fs.S3FileSystem(**settings)


def persist(request: Callable[[], T], uri: str, patience: float = PATIENCE) -> T:
    """Return what ``request`` returns; for ``patience`` seconds call it again while it fails.

    Raises:
        FileNotFoundError: there is no such file.
        StorageError: the store refuses, or keeps failing.
    """
    began, pause, said = time.monotonic(), FIRST_PAUSE, False
    while True:
        try:
            return request()
        except FileNotFoundError:
            raise
        except OSError as error:
            reason, transient = one_line(error), TRANSIENT.search(str(error))
        waited = time.monotonic() - began
        if not transient:
            raise StorageError(uri, reason)
        if waited + pause > patience:
            raise StorageError(uri, f"no success in {waited:.0f} s: {reason}")
        if waited > SAID_AFTER and not said:
            said = True
            log.warning(
                "the storage does not answer; trying for up to %.0f s: %s", patience, reason
            )
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def one_line(error: Exception) -> str:
    """Return what an error of pyarrow says in one line, without secrets and request numbers."""
    return redact(" ".join(NOISE.sub("", str(error)).split()))


def _with_default(uri: str, parameter: str, value: str) -> str:
    """Return a URI that has a parameter: its own, or this one."""
    parts = urlsplit(uri)
    if re.search(rf"(^|&){parameter}=", parts.query):
        return uri
    query = f"{parts.query}&{parameter}={value}".lstrip("&")
    return urlunsplit(parts._replace(query=query))
