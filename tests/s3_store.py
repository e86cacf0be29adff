"""An object store as on S3: a real server (moto) on loopback, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from moto.server import ThreadedMotoServer
from pyarrow import fs

BUCKET = "sweeps-of-noise"


@contextmanager
def s3_store() -> Iterator[tuple[str, int]]:
    """Yield host and port of a server with an empty bucket."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    direct = fs.S3FileSystem(
        access_key="key", secret_key="secret", region="us-east-1",
        endpoint_override=f"http://{host}:{port}", allow_bucket_creation=True,
    )  # fmt: skip
    direct.create_dir(BUCKET)
    yield host, port
    server.stop()


def uri(address, key="key:secret@", bucket=BUCKET, more="&region=us-east-1") -> str:
    """Return where sweeps are kept in the store, as ``--storage`` takes it."""
    endpoint = quote(f"http://{address[0]}:{address[1]}", safe="")
    return f"s3://{key}{bucket}/some/sweeps?endpoint_override={endpoint}{more}"
