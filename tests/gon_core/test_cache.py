"""Where this machine keeps what can be made again, and that nobody else can put code there."""

import os
import stat

import pytest

from gon_core import cache


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    # As torch sets it when it is imported; undone after the test, whatever it becomes.
    monkeypatch.setenv(cache.COMPILER, default_cache_dir())
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_kernels_are_kept_where_only_their_user_can_write(tmp_path):
    cache.keep_kernels()
    kernels = os.environ[cache.COMPILER]
    assert kernels == str(tmp_path / "cache/kernels") and mode(kernels) == 0o700
    cache.keep_kernels()
    assert os.environ[cache.COMPILER] == kernels


def test_torch_compiles_there(tmp_path):
    from torch._inductor.runtime.runtime_utils import cache_dir

    cache.keep_kernels()
    assert cache_dir() == str(tmp_path / "cache/kernels")


def test_a_folder_that_others_can_write_is_not_used(tmp_path):
    (tmp_path / "cache/kernels").mkdir(parents=True)
    (tmp_path / "cache/kernels").chmod(0o777)
    cache.keep_kernels()
    kernels = os.environ[cache.COMPILER]
    assert str(tmp_path / "cache") not in kernels and mode(kernels) == 0o700
    os.rmdir(kernels)


def test_without_a_folder_the_kernels_are_of_this_process(tmp_path):
    (tmp_path / "cache").write_text("")  # a file
    cache.keep_kernels()
    kernels = os.environ[cache.COMPILER]
    assert mode(kernels) == 0o700
    os.rmdir(kernels)


def test_the_users_own_choice_stays(monkeypatch, tmp_path):
    monkeypatch.setenv(cache.COMPILER, str(tmp_path / "own"))
    cache.keep_kernels()
    assert os.environ[cache.COMPILER] == str(tmp_path / "own")
