"""A repository is foreign bytes: whatever stands in it, commands may fail, but never crash, hang, take more memory than their bound or
write anywhere but below the target."""

import os
import random
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from support.data import digest, make_files
from support.program import BIN, FULL, environment

ROUNDS = 300 if FULL else 30
SEED = int(os.environ.get("MOS_TEST_SEED", "1"))
# Sanitizers map terabytes and are slow.
SANITIZED = "asan" in BIN.parts or "tsan" in BIN.parts
MEMORY = 1 << 30
SECONDS = 300 if SANITIZED else 60
HOSTILE = BIN.parent / "test/mos_hostile"
# As `stat` tells them, and no file of these tests is as long.
LONGEST = 1 << 30

KINDS = (
    "path-upwards path-upwards-inside path-odd through-a-link over-a-link over-a-link-of-an-earlier-part hard-links-outside long-path "
    "many-ids many-entries long-file holes lists-of-themselves attributes frames-that-lie extents-behind-the-end packs-that-lie "
    "packs-that-collide chunks-that-collide moves-in-a-circle"
).split()


def bounded():
    resource.setrlimit(resource.RLIMIT_FSIZE, (LONGEST, LONGEST))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def run(command, repository, keyring, *arguments):
    """The engine within its bounds. It ends by itself, with an exit code that it names."""
    result = subprocess.run(
        [BIN / "mosaajii-engine", command, "--repository", repository, "--keyring", keyring, *map(str, arguments)],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
        preexec_fn=bounded,
    )
    assert result.returncode in (0, 1, 3, 4), f"{command} ended with {result.returncode}:\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
    assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr, result.stderr[-4000:]
    assert result.returncode == 0 or result.stdout or result.stderr, "it failed and did not say why"
    return result


def everything(folder, without=()):
    """All that lies below, by its path: what it is, and what it holds."""
    found = {}
    for path in Path(folder).rglob("*"):
        if any(part in without for part in path.relative_to(folder).parts[:1]):
            continue
        info = path.lstat()
        link = os.readlink(path) if path.is_symlink() else None
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        found[str(path.relative_to(folder))] = (info.st_mode, info.st_nlink if content else 0, link, content)
    return found


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    (folder / "outside").mkdir()
    (folder / "outside/secret").write_text("what nobody may have")
    made = subprocess.run([HOSTILE, folder], capture_output=True, text=True, check=True).stdout.split()
    assert made == KINDS
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_made_with_the_real_keys(zoo, kind):
    repository, keyring = zoo / kind, zoo / "keyring"
    before = everything(zoo, without=("targets", *KINDS))
    for command in ("list", "verify", "check"):
        run(command, repository, keyring)
    target = zoo / "targets" / kind / "deep/target"
    target.parent.mkdir(parents=True)
    run("restore", repository, keyring, "--target", target)
    # Again, over what is there.
    run("restore", repository, keyring, "--target", target, "--overwrite")
    run("restore", repository, keyring, "--target", target, "--resume", "--compare")
    run("prune", repository, keyring, "--dry-run")
    run("prune", repository, keyring, "--grace-seconds", "0")
    assert everything(zoo, without=("targets", *KINDS)) == before, "written outside of the target"
    beside = [path for path in (zoo / "targets" / kind).rglob("*") if target not in path.parents and path not in (target, target.parent)]
    assert not beside, "written beside the target"
    for path in target.rglob("*"):
        assert path.is_symlink() or not path.is_file() or path.stat().st_size <= LONGEST
        # No name for a file that lay there before.
        assert path.is_symlink() or path.stat(follow_symlinks=False).st_ino != (zoo / "outside/secret").stat().st_ino
    shutil.rmtree(zoo / "targets")


def test_good_files_of_a_hostile_backup_are_restored(zoo, tmp_path):
    """The parts that are as they should be come back all the same."""
    for kind, path in (("packs-that-collide", "a"), ("moves-in-a-circle", "a"), ("chunks-that-collide", "a")):
        run("restore", zoo / kind, zoo / "keyring", "--target", tmp_path / kind)
        assert (tmp_path / kind / path).read_bytes() == b"written where it should not be\0"


# ---- A good repository, and then anything done to its files ----


@pytest.fixture(scope="module")
def good(start_shared, tmp_path_factory):
    source = tmp_path_factory.mktemp("source") / "data"
    make_files(source, 20, 700_000, seed=31)
    make_files(source / "text", 100, 3_000, seed=32, compressible=True)
    os.symlink("/etc/passwd", source / "link")
    server = start_shared(BACKUP_FILES_PATHS=source)
    client = server.client()
    first = client.backup("FILES")
    for path in sorted(source.glob("part-*/*.dat"))[:15]:
        path.unlink()
    client.backup("FILES")
    # Moved objects are read too.
    client.delete(first.id)
    server.cli("repository", "prune", "--grace-minutes", "0")
    make_files(source / "new", 10, 60_000, seed=33)
    client.backup("FILES")
    assert list((server.repository / "moved").iterdir())
    # A copy, into which the server writes nothing more.
    copy = tmp_path_factory.mktemp("good") / "repository"
    shutil.copytree(server.repository, copy)
    return copy, server.keyring, source


def flip(path, generator, others):
    content = bytearray(path.read_bytes())
    for _ in range(generator.choice((1, 1, 1, 8, 200))):
        if content:
            content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    path.write_bytes(content)


def cut(path, generator, others):
    content = path.read_bytes()
    path.write_bytes(content[: generator.randrange(len(content) + 1)])


def lengthen(path, generator, others):
    with open(path, "ab") as file:
        file.write(generator.randbytes(generator.choice((1, 4, 100, 70_000))))


def huge(path, generator, others):
    with open(path, "ab") as file:
        file.truncate(generator.choice((1 << 31, 1 << 40)))


def overwrite(path, generator, others):
    """A number somewhere becomes absurd."""
    content = bytearray(path.read_bytes())
    place = generator.randrange(max(1, len(content) - 8))
    content[place : place + 8] = generator.choice((b"\xff" * 8, b"\0" * 8, b"\xff\xff\xff\x7f" * 2, b"\0" * 7 + b"\x80"))
    path.write_bytes(content)


def swap(path, generator, others):
    other = generator.choice(others)
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


def become_directory(path, generator, others):
    path.unlink()
    path.mkdir()
    (path / "inside").touch()


def become_pipe(path, generator, others):
    path.unlink()
    os.mkfifo(path)


def become_link(path, generator, others):
    target = generator.choice((generator.choice(others), "/dev/zero", "/etc/passwd", path, "..", "/nowhere"))
    path.unlink()
    os.symlink(target, path)


def vanish(path, generator, others):
    path.unlink()


def folder_becomes_something(path, generator, others):
    folder = path.parent
    shutil.rmtree(folder)
    generator.choice((lambda: folder.touch(), lambda: os.mkfifo(folder), lambda: os.symlink("/etc", folder), lambda: None))()


DEEDS = (
    flip, flip, flip, overwrite, overwrite, cut, lengthen, huge, swap, swap, become_directory, become_pipe, become_link, vanish,
    folder_becomes_something,
)


def test_anything_done_to_a_good_one(good, tmp_path):
    original, keyring, source = good
    generator = random.Random(SEED)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("what nobody may have")
    for number in range(ROUNDS):
        repository = tmp_path / "repository"
        shutil.copytree(original, repository)
        kept = everything(repository)
        done = []
        for _ in range(generator.choice((1, 1, 2, 5))):
            files = sorted(path for path in repository.rglob("*") if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 30)
            path, deed = generator.choice(files), generator.choice(DEEDS)
            if path.parent != repository or deed != folder_becomes_something:
                deed(path, generator, files)
                done.append(f"{deed.__name__} {path.relative_to(repository)}")
        target = tmp_path / "target/deep"
        commands = [("verify",), ("check",), ("check", "--repair"), ("restore", "--target", target), ("prune", "--grace-seconds", "0")]
        generator.shuffle(commands)
        try:
            run("list", repository, keyring)
            for command in commands[:3]:
                run(command[0], repository, keyring, *command[1:])
        except (AssertionError, subprocess.TimeoutExpired):
            print(f"round {number} of seed {SEED}: {done}; {commands}")
            raise
        # What is restored is what was backed up, or is not there.
        restored = digest(f"{target}{source}") if target.exists() else {}
        originals = digest(source)
        wrong = [path for path in restored if path in originals and restored[path] != originals[path]]
        assert not wrong, (number, done, wrong)
        assert everything(tmp_path / "outside").keys() == {"secret"}
        assert sorted(os.listdir(tmp_path)) == sorted({"outside", "repository"} | ({"target"} if target.exists() else set()))
        assert everything(original).keys() == kept.keys(), "the original was touched"
        shutil.rmtree(repository)
        shutil.rmtree(tmp_path / "target", ignore_errors=True)
