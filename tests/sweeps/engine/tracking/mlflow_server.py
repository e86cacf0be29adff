"""A real MLflow server on loopback, and a proxy before it that is slow, gone, or loses answers."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STARTING_SECONDS = 180  # it imports for ten, on a machine that does nothing else
HOP = {"host", "connection", "transfer-encoding", "content-length"}


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """``mlflow server`` with a sqlite store in ``folder``, stopped and started by its pid."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.store = f"sqlite:///{folder}/server.db"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return when it answers."""
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1",
            "--port", str(self.port), "--backend-store-uri", self.store,
            "--artifacts-destination", str(self._folder / "artifacts"),
        ]  # fmt: skip
        settings = {
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true",
        }  # fmt: skip
        with open(self._folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                command, env=os.environ | settings, cwd=self._folder, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + STARTING_SECONDS
        while time.monotonic() < deadline:
            assert self._process.poll() is None, (self._folder / "server.log").read_text()
            with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                return
            time.sleep(0.2)
        raise AssertionError("the server did not start in time")

    def kill(self) -> None:
        """End it and its worker at once, by ``kill -9``."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class Proxy:
    """Passes requests on to a server, one connection each.

    Attributes:
        delay: seconds that every answer takes longer.
        loses: says of each request, ``POST /api/2.0/mlflow/runs/create``, and its body, whether
            its answer is lost after it was carried out.
        holds: whether it is held back until ``release`` is called, and only then carried out.
        requests: all that came.
    """

    def __init__(self, server_port: int, port: int = 0) -> None:
        self.delay = 0.0
        self.loses: Callable[[str, bytes], bool] = lambda request, body: False
        self.holds: Callable[[str, bytes], bool] = lambda request, body: False
        self.requests: list[str] = []
        self._server_port = server_port
        self._released = threading.Event()
        self._held: list[threading.Thread] = []
        self._listener: ThreadingHTTPServer | None = None
        self.port = port or free_port()
        self.uri = f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        """Listen; before that, connections are refused."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                with suppress(OSError):  # the client has closed the connection
                    super().handle_one_request()

            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                proxy._pass_on(self)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

        self._listener = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._listener.daemon_threads = True
        threading.Thread(target=self._listener.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self.release()
        if self._listener is not None:
            self._listener.shutdown()
            self._listener.server_close()
            self._listener = None

    def release(self) -> None:
        """Carry out what was held back, and wait for that."""
        self._released.set()
        for thread in self._held:
            thread.join()

    def _pass_on(self, handler: BaseHTTPRequestHandler) -> None:
        request = f"{handler.command} {handler.path.partition('?')[0]}"
        self.requests.append(request)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        if not self._released.is_set() and self.holds(request, body):
            self._held.append(threading.current_thread())
            self._released.wait()
        time.sleep(self.delay)
        connection = http.client.HTTPConnection("127.0.0.1", self._server_port, timeout=120)
        headers = {key: text for key, text in handler.headers.items() if key.lower() not in HOP}
        try:
            connection.request(handler.command, handler.path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
        except OSError:
            return  # the server is down: so is the connection to it
        finally:
            connection.close()
        if self.loses(request, body):
            return
        handler.send_response_only(answer.status)
        for key, text in answer.getheaders():
            if key.lower() not in HOP:
                handler.send_header(key, text)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
