import shlex
import sys

import pytest

from sweeps.engine.system import provenance
from sweeps.engine.system.provenance import redact, repeat_command

# Before, after; every secret holds "hush".
REDACTED = [
    ("postgresql://me:hush@host:5432/db", "postgresql://me:***@host:5432/db"),
    ("postgresql://me:hu/sh@hush@host/db", "postgresql://me:***@host/db"),
    ("postgresql://me:hush:hush@hush/@host/db", "postgresql://me:***@host/db"),
    ("postgresql://me:hush%2F%40%3A@host/db", "postgresql://me:***@host/db"),
    ("postgresql://me:hush?#&'hush@host/db", "postgresql://me:***@host/db"),
    ("redis://:hush@host", "redis://:***@host"),
    ("mysql+pymysql://a%40b:hush@host/db", "mysql+pymysql://a%40b:***@host/db"),
    ("https://hush@host/path", "https://***@host/path"),
    ("https://hush%40hush@host/path", "https://***@host/path"),
    ("http%3A%2F%2Fme%3Ahush%3Ahush%40h", "http%3A%2F%2Fme%3A***%40h"),
    (
        "s3://KEY:hu/sh+hush=@bucket/sweeps?region=eu&endpoint_override=http%3A%2F%2Fh%3A5000",
        "s3://***@bucket/sweeps?region=eu&endpoint_override=http%3A%2F%2Fh%3A5000",
    ),
    (
        "s3://bucket/x?endpoint_override=http%3A%2F%2Fme%3Ahush%40h%3A5000&region=eu",
        "s3://bucket/x?endpoint_override=http%3A%2F%2Fme%3A***%40h%3A5000&region=eu",
    ),
    ("http://h/?a=1&token=hush&b=2", "http://h/?a=1&token=***&b=2"),
    ("http%3A%2F%2Fh%3Ftoken%3Dhush%26b%3D2", "http%3A%2F%2Fh%3Ftoken%3D***%26b%3D2"),
    ("mssql+pyodbc://h?odbc_connect=UID%3Dme%3BPWD%3Dhush", "mssql+pyodbc://h?odbc_connect=***"),
    ("--tracking-uri=http://me:hush@h:5000", "--tracking-uri=http://me:***@h:5000"),
    ("cannot parse 's3://K:hu/sh@b/c' and so on", "cannot parse 's3://***@b/c' and so on"),
    (
        "http://me:hush@one and http://me:hush@two:80/x",
        "http://me:***@one and http://me:***@two:80/x",
    ),
]
SECRET_PARAMETERS = [
    "access_key", "secret_key", "session_token", "token", "password", "sig", "signature", "api_key",
    "apikey", "ACCESS_KEY", "X-Amz-Signature", "X-Amz-Security-Token", "X-Amz-Credential",
    "client_secret", "accountKey", "private-key", "auth", "passwd",
]  # fmt: skip
KEPT = [
    "postgresql://me@host/db",
    "sqlite:////data/results/mlflow.db",
    "s3://bucket/sweeps?region=eu&scheme=http&allow_bucket_creation=true",
    "http://127.0.0.1:5000/#/experiments/1",
    "gs://anonymous@bucket/x",
    "--sigmas=0.5 --name my@name:1",
    "http://h/?design=a&assigned=b&author=c",
    "/data/a:b@c",
]


@pytest.mark.parametrize(("text", "shown"), REDACTED)
def test_secrets_of_uris_are_replaced_and_the_rest_is_kept(text, shown):
    assert redact(text) == shown and "hush" not in shown
    assert redact(shown) == shown


@pytest.mark.parametrize("name", SECRET_PARAMETERS)
def test_parameters_that_are_called_like_a_secret_are_replaced(name):
    text = f"https://host/path?x=1&{name}=hush/+hush==&y=2"
    assert redact(text) == f"https://host/path?x=1&{name}=***&y=2"


@pytest.mark.parametrize("text", KEPT)
def test_what_holds_no_secret_is_kept(text):
    assert redact(text) == text


def test_the_command_to_repeat_holds_no_secret(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["sweeps/sigma_line_search.py"])
    monkeypatch.setattr(provenance, "_taken", {})
    provenance.note_command(
        {"--storage": ["s3://K:hush@b/c d"], "--sigmas": ["0", "0.5"], "--dry-run": []}
    )
    provenance.add_to_command({"--name": ["a"]})
    command = shlex.split(repeat_command({"--sigmas": "1"}))
    words = ["--storage", "s3://***@b/c d", "--sigmas", "1", "--dry-run", "--name", "a"]
    assert command == ["uv", "run", "python", "sweeps/sigma_line_search.py", *words]


def test_an_image_without_git_says_what_it_was_made_of(monkeypatch):
    def no_git(*_):
        raise FileNotFoundError("git")

    monkeypatch.setattr(provenance, "_git", no_git)
    monkeypatch.setenv("GON_GIT_SHA", "0123abc")
    assert provenance.code_version() == {"git_sha": "0123abc", "dirty": False}
    monkeypatch.delenv("GON_GIT_SHA")
    assert provenance.code_version()["git_sha"] == "unknown"
