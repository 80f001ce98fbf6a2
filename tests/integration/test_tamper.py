"""One changed byte anywhere is found, named and contained."""

import random
import re
import shutil

import pytest

from support.api import GOOD, pb
from support.data import digest, make_files
from support.program import FULL, engine

ROUNDS = 200 if FULL else 24


@pytest.fixture(scope="module")
def vault(start_shared, tmp_path_factory):
    """A server with two backups of different content, which share nothing."""
    source = tmp_path_factory.mktemp("source") / "data"
    make_files(source, 60, 40_000, seed=11)
    make_files(source / "text", 200, 3_000, seed=12, compressible=True)
    (source / "large").write_bytes(random.Random(13).randbytes(6_000_000))
    server = start_shared(BACKUP_FILES_PATHS=source)
    client = server.client()
    victim = client.backup("FILES", name="victim")
    packs = {path for path in (server.repository / "packs").rglob("*") if path.is_file()}
    shutil.copytree(source, source.parent / "original")
    shutil.rmtree(source)
    make_files(source, 20, 40_000, seed=14)
    other = client.backup("FILES", name="other")
    return server, client, victim, other, packs, source, source.parent / "original"


class flipped:
    """One byte of an object changed, for the length of a block."""

    def __init__(self, path, offset, bit=None):
        self.path, self.offset, self.mask = path, offset, 1 << bit if bit is not None else 0xFF

    def _flip(self):
        mode = self.path.stat().st_mode
        self.path.chmod(0o600)
        with open(self.path, "r+b") as file:
            file.seek(self.offset)
            byte = file.read(1)[0]
            file.seek(self.offset)
            file.write(bytes([byte ^ self.mask]))
        self.path.chmod(mode & 0o7777)

    def __enter__(self):
        self._flip()

    def __exit__(self, *_):
        self._flip()


def check_found(server, client, victim, path, offset, sealed):
    """Verifying the victim must find the flipped byte; answers what it found."""
    result = client.verify(victim.id)
    where = f"{path.relative_to(server.repository)} at {offset} of {path.stat().st_size}: {result}"
    assert not result.valid and not result.checksum_valid and result.size_valid, where
    if sealed:
        assert not result.encryption_valid, where
    name = str(path.relative_to(server.repository))
    assert result.errors and any(name in error for error in result.errors), where
    return result


def test_any_byte_of_any_pack(vault):
    server, client, victim, other, packs, _, _ = vault
    generator = random.Random(21)
    for _ in range(ROUNDS):
        pack = generator.choice(sorted(packs))
        size = pack.stat().st_size
        offset = generator.choice([generator.randrange(size), generator.randrange(30), size - 1 - generator.randrange(60)])
        with flipped(pack, offset, generator.randrange(8)):
            # The first 22 bytes and the last four are not sealed.
            check_found(server, client, victim, pack, offset, 22 <= offset < size - 4)
    assert client.verify(other.id).valid
    assert client.verify(victim.id).valid, "nothing remains after the bytes were put back"


def test_any_byte_of_manifest_and_key(vault):
    server, client, victim, other, _, _, _ = vault
    manifest = server.repository / "backups" / victim.id
    (key,) = (server.repository / "keys" / victim.id).iterdir()
    generator = random.Random(22)
    for path, sealed in ((manifest, (42, manifest.stat().st_size - 32)), (key, (22, 70))):
        size = path.stat().st_size
        for offset in [0, 4, 6, 22, 34, 38, 42, size - 32, size - 1] + generator.sample(range(size), ROUNDS // 2):
            if offset < size:
                with flipped(path, offset, generator.randrange(8)):
                    check_found(server, client, victim, path, offset, sealed[0] <= offset < sealed[1])
                    assert client.get(other.id).status in GOOD
    assert client.verify(other.id).valid


def test_named_files_are_the_ones_that_are_hurt(vault):
    server, client, victim, _, packs, source, original = vault
    expected = digest(original)
    generator = random.Random(23)
    for number in range(8):
        pack = max(packs, key=lambda path: path.stat().st_size) if number % 2 else generator.choice(sorted(packs))
        offset = generator.randrange(22, pack.stat().st_size - 2000)
        with flipped(pack, offset):
            result = check_found(server, client, victim, pack, offset, True)
            target = server.restore_root / f"hurt-{number}"
            job = client.restore(victim.id, target, good=False)
        restored = digest(f"{target}{source}")
        if not result.damaged_paths and restored == expected:
            # A part of the tree, or of its copy: the other one of the two is there, and nothing is lost.
            shutil.rmtree(target)
            continue
        assert job.status in (pb.Job.SUCCEEDED_WITH_WARNINGS, pb.Job.FAILED) and job.message, job
        hurt = {path for path in expected if restored.get(path) != expected[path]}
        named = {path.removeprefix(f"{source}/") for path in result.damaged_paths}
        # Where a part of the tree itself is lost, so are the names in it, and the error says from where to where.
        lost = [re.search(r"the tree from (\S+) (?:to before (\S+)|on) is lost", error) for error in result.errors]
        nameless = {
            path for path in hurt for range in lost if range and range[1] <= f"{source}/{path}" and not (range[2] and range[2] <= f"{source}/{path}")
        }
        assert hurt <= named | nameless, f"hurt but not named: {sorted(hurt - named)[:5]}, {result}"
        files = {path for path in named if path in expected}
        assert files == hurt - nameless, f"named but whole: {sorted(files - hurt)[:5]}"
        assert result.damaged_files >= len(files)
        # Small files share a chunk and are hurt together; all others are as they were.
        assert len(hurt) < len(expected) or nameless, result
        shutil.rmtree(target)


def test_cut_and_missing_objects(vault):
    server, client, victim, other, packs, _, _ = vault
    manifest = server.repository / "backups" / victim.id
    for path in (max(packs, key=lambda pack: pack.stat().st_size), manifest):
        content = path.read_bytes()
        for cut in (1, len(content) // 2, len(content)):
            path.write_bytes(content[: len(content) - cut])
            result = client.verify(victim.id)
            assert not result.valid and not result.size_valid, (path, cut, result)
            assert any(path.name in error for error in result.errors), result
            path.write_bytes(content)
        path.write_bytes(content + b"more")
        assert not client.verify(victim.id).size_valid
        path.write_bytes(content)
        moved = path.with_name(path.name + ".away")
        path.rename(moved)
        result = client.verify(victim.id)
        assert not result.valid and not result.size_valid, (path, "missing", result)
        moved.rename(path)
    assert client.verify(victim.id).valid and client.verify(other.id).valid


def test_swapped_packs_are_found(vault):
    server, client, victim, _, packs, _, _ = vault
    largest = max(packs, key=lambda pack: pack.stat().st_size)
    stranger = next(path for path in (server.repository / "packs").rglob("*") if path.is_file() and path not in packs)
    content = largest.read_bytes()
    largest.write_bytes(stranger.read_bytes())
    result = client.verify(victim.id)
    largest.write_bytes(content)
    assert not result.valid and not result.checksum_valid
    assert client.verify(victim.id).valid


def test_damage_marks_the_backup_and_mending_clears_it(vault):
    server, client, victim, _, packs, _, _ = vault
    pack = sorted(packs)[0]
    with flipped(pack, 1000):
        client.verify(victim.id)
        assert client.get(victim.id).status == pb.Backup.FAILED
        assert server.cli("backup", "verify", victim.id, check=1).stdout
        alone = engine(
            "verify", "--repository", server.repository, "--keyring", server.keyring, "--backup", victim.id, check=None
        )
        assert alone.returncode != 0
    assert client.verify(victim.id).valid
    assert client.get(victim.id).status == pb.Backup.VERIFIED
