"""The engine by hand, without any server: what somebody has who lost everything but a repository and a keyring."""

import os

import pytest

from support.data import digest, make_files
from support.program import engine


@pytest.fixture
def repository(start, tmp_path):
    """(repository, keyring, source) of a server that is gone."""
    source = make_files(tmp_path / "source", 14, 3000)
    server = start(BACKUP_FILES_PATHS=source)
    server.client().backup("FILES")
    server.stop()
    return server.repository, server.keyring, source


def test_targets_are_meant_as_the_shell_means_them(repository, tmp_path):
    repo, keyring, source = repository
    here = tmp_path / "here/deeper"
    here.mkdir(parents=True)
    (tmp_path / "away/inner").mkdir(parents=True)
    os.symlink(tmp_path / "away/inner", here / "link")
    for number, (target, meant) in enumerate((
        ("./a", here / "a"),
        ("..//b/./c/", tmp_path / "here/b/c"),
        ("new/../d", here / "d"),
        ("link/../e", tmp_path / "away/e"),
        (f"{tmp_path}/../{tmp_path.name}/f", tmp_path / "f"),
    )):
        engine("restore", "--repository", os.path.relpath(repo, here), "--keyring", keyring, "--target", target, cwd=here)
        assert digest(f"{meant}{source}") == digest(source), target
    # From the root, where the way to here is empty.
    engine("restore", "--repository", repo, "--keyring", keyring, "--target", f".{tmp_path}/g", cwd="/")
    assert digest(f"{tmp_path}/g{source}") == digest(source)


def test_a_restore_is_gone_on_with(repository, tmp_path):
    repo, keyring, source = repository
    target = tmp_path / "target"
    victim = f"{target}{source}/part-3/file-00003.dat"

    def restore(*options, check=0):
        return engine("restore", "--repository", repo, "--keyring", keyring, "--target", target, *options, check=check)

    assert "restored 14 files" in restore().stdout
    os.unlink(victim)
    told = restore("--resume", "--preview").stdout
    assert "would restore 1 files" in told and "13 are there already" in told and f"{source}/part-3/file-00003.dat" in told
    assert not os.path.exists(victim)
    assert "restored 1 files" in restore("--resume").stdout
    assert "restored 0 files" in restore("--resume", "--compare").stdout
    assert digest(f"{target}{source}") == digest(source)
    assert "exclude one another" in restore("--resume", "--overwrite", check=2).stderr
    assert "--resume only" in restore("--compare", check=2).stderr


def test_one_file_goes_to_standard_output(repository):
    repo, keyring, source = repository
    path = f"{source}/part-3/file-00003.dat"
    places = ("--repository", repo, "--keyring", keyring)
    with open(path, "rb") as file:
        assert engine("cat", *places, path, text=False).stdout == file.read()
    assert "is not in the backup" in engine("cat", *places, "/nowhere", check=4).stderr
    answer = engine("cat", *places, source, check=1)
    assert "no regular file" in answer.stderr and answer.stdout == ""
    assert "PATH" in engine("cat", *places, check=2).stderr
