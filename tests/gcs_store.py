"""An object store as on Google Cloud: an emulator on loopback, in its own process, for tests."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

BUCKET = "sweeps-of-noise"
SERVE = """
import sys
from gcp_storage_emulator.server import create_server
create_server("127.0.0.1", int(sys.argv[1]), in_memory=True, default_bucket=sys.argv[2]).run()
"""
PATIENCE = 60.0


@contextmanager
def gcs_store() -> Iterator[tuple[str, int]]:
    """Yield host and port of a server with an empty bucket."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(address[1]), BUCKET],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait(server, address)
        yield address
    finally:
        server.kill()
        server.wait()


def _wait(server: subprocess.Popen, address: tuple[str, int]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(address, 1.0).close()
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def uri(address: tuple[str, int], bucket: str = BUCKET) -> str:
    """Return where sweeps are kept in the store, as ``--storage`` takes it."""
    endpoint = quote(f"{address[0]}:{address[1]}", safe="")
    return f"gs://anonymous@{bucket}/some/sweeps?scheme=http&endpoint_override={endpoint}"
