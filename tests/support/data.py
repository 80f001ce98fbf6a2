"""What is backed up in the tests, and how originals and copies are compared."""

import hashlib
import os
import random
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

ROOT_USER = os.geteuid() == 0


def make_files(folder, count, size, seed=1, compressible=False):
    """`count` files of `size` bytes each, the same for the same seed, over a few folders. Answers the folder."""
    folder = Path(folder)
    generator = random.Random(seed)
    for number in range(count):
        path = folder / f"part-{number % 7}" / f"file-{number:05}.dat"
        path.parent.mkdir(parents=True, exist_ok=True)
        if compressible:
            line = f"record {seed} {number} {generator.random()}\n".encode()
            path.write_bytes((line * (size // len(line) + 1))[:size])
        else:
            path.write_bytes(generator.randbytes(size))
    return folder


def make_everything(top):
    """A tree with all that a Unix file system can hold (as root; else all that this user may make)."""
    top = Path(top)
    top.mkdir(parents=True)
    make_files(top / "many", 400, 900, seed=2, compressible=True)
    (top / "large").mkdir()
    (top / "large/random.bin").write_bytes(random.Random(3).randbytes(9_000_001))
    (top / "large/zeros.bin").write_bytes(bytes(3_000_000))
    (top / "large/text.log").write_bytes(b"".join(b"line %d of a log that repeats itself\n" % i for i in range(90_000)))
    (top / "empty-folder").mkdir()
    (top / "empty-file").touch()
    deep = top / "deep"
    for level in range(60):
        deep = deep / f"level-{level:03}-{'x' * 20}"
    deep.mkdir(parents=True)
    (deep / "bottom").write_text("down here")

    names = top / "names"
    names.mkdir()
    for name in (
        b"not utf-8 \xff\xfe\x80",
        b"new\nline",
        b"tab\tand\rreturn",
        b"\x1b[31mred\x1b[0m",
        b"-rf",
        b" leading and trailing ",
        b"back\\slash",
        b"\\x41 is no escape",
        b'quote " and \'',
        b"*?[a-z]",
        b"...",
        "smörgåsbord".encode(),
        "smo\u0308rga\u030asbord".encode(),
        "日本語".encode(),
        b"n" * 255,
        b"\x01\x7f",
    ):
        Path(os.fsdecode(os.path.join(os.fsencode(names), name))).write_bytes(b"content of " + name)

    links = top / "links"
    links.mkdir()
    (links / "original").write_text("one content, three names")
    os.link(links / "original", links / "second-name")
    os.link(links / "original", top / "third-name")
    os.symlink("original", links / "to-file")
    os.symlink("../many", links / "to-folder")
    os.symlink("/nowhere/at/all", links / "dangling")
    os.symlink("../../../../../../etc/passwd", links / "upwards")
    os.symlink(".", links / "to-itself")
    os.symlink(b"\xff target", os.fsencode(links) + b"/odd-target")

    with open(top / "sparse", "wb") as file:
        file.write(b"start")
        file.seek(40 << 20)
        file.write(b"middle")
        file.truncate(64 << 20)
    with open(top / "all-hole", "wb") as file:
        file.truncate(16 << 20)

    os.mkfifo(top / "fifo")
    listener = socket.socket(socket.AF_UNIX)
    here = os.open(top, os.O_RDONLY)
    listener.bind(f"/proc/self/fd/{here}/socket")
    listener.close()
    os.close(here)

    modes = top / "modes"
    modes.mkdir()
    for mode in (0o000, 0o400, 0o644, 0o711, 0o777, 0o1777, 0o2755, 0o4755, 0o6755):
        (modes / f"file-{mode:04o}").write_text("mode")
        (modes / f"folder-{mode:04o}").mkdir()
        if mode & 0o400 or ROOT_USER:
            os.chmod(modes / f"file-{mode:04o}", mode)
        if mode & 0o500 == 0o500 or ROOT_USER:
            os.chmod(modes / f"folder-{mode:04o}", mode)

    attributes = top / "attributes"
    attributes.mkdir()
    (attributes / "file").write_text("has attributes")
    os.setxattr(attributes / "file", "user.plain", b"value")
    os.setxattr(attributes / "file", "user.binary", bytes(range(256)))
    os.setxattr(attributes / "file", "user.empty", b"")
    os.setxattr(attributes, "user.folder", b"on a folder")
    (attributes / "acl").write_text("has an ACL")
    subprocess.run(["setfacl", "-m", "u:1234:rw,g:2345:r", attributes / "acl"], check=True)
    (attributes / "acl-folder").mkdir()
    subprocess.run(["setfacl", "-m", "d:u:1234:rwx,u:1234:rx", attributes / "acl-folder"], check=True)

    if ROOT_USER:
        os.setxattr(attributes / "file", "trusted.deep", b"for root alone")
        os.mknod(top / "character-device", 0o600 | stat.S_IFCHR, os.makedev(1, 7))
        os.mknod(top / "block-device", 0o640 | stat.S_IFBLK, os.makedev(7, 200))
        owners = top / "owners"
        owners.mkdir()
        for number, (uid, gid) in enumerate([(1, 1), (1234, 2345), (65534, 65534), (4_000_000_000, 4_000_000_001)]):
            (owners / f"file-{number}").write_text("owned")
            os.chown(owners / f"file-{number}", uid, gid)
            os.symlink("nowhere", owners / f"link-{number}")
            os.chown(owners / f"link-{number}", uid, gid, follow_symlinks=False)
        # An owner's change clears these bits, so a restore must set them last.
        (owners / "setuid").write_text("setuid and owned")
        os.chown(owners / "setuid", 1234, 2345)
        os.chmod(owners / "setuid", 0o6755)
        capable = owners / "capable"
        capable.write_text("may bind low ports")
        os.setxattr(capable, "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))

    times = top / "times"
    times.mkdir()
    for number, time_ns in enumerate([1, 1_234_567_890_123_456_789, 4_102_444_800_000_000_001, -86_400_000_000_000 + 5]):
        (times / f"file-{number}").write_text("old or new")
        os.utime(times / f"file-{number}", ns=(time_ns, time_ns))
    os.symlink("nowhere", times / "link")
    os.utime(times / "link", ns=(5_000_000_007, 5_000_000_007), follow_symlinks=False)
    (times / "folder").mkdir()
    (times / "folder/file").touch()
    os.utime(times / "folder", ns=(7_000_000_000_003, 7_000_000_000_003))
    return top


def differences(original, copy):
    """What rsync would change to make the copy the original, and what rsync does not see: times to the nanosecond and holes."""
    flags = "-anicAXHS" if ROOT_USER else "-rlptDnicAXHS"
    result = subprocess.run(
        ["rsync", flags, "--delete", f"{original}/", f"{copy}/"], capture_output=True, text=True, errors="replace"
    )
    assert result.returncode == 0, result.stderr
    found = result.stdout.splitlines()
    for folder, folders, files in os.walk(original):
        for name in [*folders, *files, "."]:
            path = os.path.normpath(os.path.join(folder, name))
            twin = os.path.join(copy, os.path.relpath(path, original))
            ours, theirs = os.lstat(path), os.lstat(twin)
            if ours.st_mtime_ns != theirs.st_mtime_ns:
                found.append(f"mtime {ours.st_mtime_ns} became {theirs.st_mtime_ns}: {path!r}")
            if stat.S_ISREG(ours.st_mode) and ours.st_blocks * 1024 < ours.st_size and theirs.st_blocks * 1024 > theirs.st_size:
                found.append(f"holes filled: {path!r}")
    return found


def digest(folder):
    """Content of every regular file below, by its path."""
    result = {}
    for path in Path(folder).rglob("*"):
        if path.is_file() and not path.is_symlink():
            result[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return result


def size_of(folder):
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def objects(repository):
    """Everything of a repository that is a backup's: what a copy elsewhere would hold."""
    return {
        str(path.relative_to(repository)): path.stat().st_size
        for part in ("packs", "moved", "keys", "backups")
        for path in (Path(repository) / part).rglob("*")
        if path.is_file()
    }


WRITER = """
import sqlite3, sys, time
path, mode, filler = sys.argv[1], sys.argv[2], int(sys.argv[3])
db = sqlite3.connect(path, isolation_level=None, timeout=60)
db.execute(f"PRAGMA journal_mode={mode}")
db.execute("PRAGMA synchronous=OFF")
db.execute("CREATE TABLE IF NOT EXISTS sales(id INTEGER PRIMARY KEY, cents INTEGER, note BLOB)")
db.execute("CREATE TABLE IF NOT EXISTS moves(sale INTEGER, pieces INTEGER)")
db.execute("BEGIN")
for _ in range(filler):
    row = db.execute("INSERT INTO sales(cents, note) VALUES (random() % 1000, randomblob(1000))").lastrowid
    db.execute("INSERT INTO moves VALUES (?, 1)", (row,))
db.execute("COMMIT")
print("writing", flush=True)
count = 0
while True:
    db.execute("BEGIN IMMEDIATE")
    for _ in range(5):
        row = db.execute("INSERT INTO sales(cents, note) VALUES (random() % 1000, randomblob(200))").lastrowid
        db.execute("INSERT INTO moves VALUES (?, 1)", (row,))
    db.execute("UPDATE sales SET cents = cents + 1 WHERE id = 1 + abs(random() % ?)", (row,))
    db.execute("COMMIT")
    count += 1
    # Even a writer that never rests lets go of its lock now and then.
    time.sleep(0.0005)
"""


class Shop:
    """A SQLite database into which another process writes all the time; each transaction adds as many sales as moves."""

    def __init__(self, path, mode="wal", filler=2000):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(self.path), mode, str(filler)], stdout=subprocess.PIPE, text=True
        )
        assert self.writer.stdout.readline() == "writing\n"

    def sales(self):
        """How many there are now."""
        import sqlite3

        db = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=60)
        try:
            return db.execute("SELECT count(*) FROM sales").fetchone()[0]
        finally:
            db.close()

    def stop(self):
        assert self.writer.poll() is None, "the writer ended by itself"
        self.writer.send_signal(signal.SIGKILL)
        self.writer.wait()
        self.writer.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def check_shop(path):
    """The database is whole and holds one moment; answers the number of sales."""
    import sqlite3

    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        sales, moves = db.execute("SELECT (SELECT count(*) FROM sales), (SELECT count(*) FROM moves)").fetchone()
        orphans = db.execute("SELECT count(*) FROM moves WHERE sale NOT IN (SELECT id FROM sales)").fetchone()[0]
        assert (sales, orphans) == (moves, 0)
        return sales
    finally:
        db.close()
