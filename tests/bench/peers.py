"""make bench: ours beside restic, borg, kopia and a tar | zstd | openssl pipe, in alternation. Prints a table of ratios and writes one as Markdown.

    peers.py --bin build/bin --peers build/peers --folder build/bench [--quick] [--rounds 3]
             [--corpora files,database,small] [--tools ours,restic] [--markdown docs/benchmarks.md]

Ours is mosaajii-engine alone: backups over descriptor 3 as the server asks for them, the rest by its own commands. Every time is wall time and
CPU time (user and system) of the whole process tree; memory is the peak of one process as the kernel counts it.
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import corpora

STEPS = ("first", "again", "changed", "restore", "verify")
SETTLE_SECONDS = 60
MEMORY_LIMIT_MB = 96
# Debian's restic's time divided by ours, and the size of our repository (and of what a change adds) divided by restic's.
TARGETS = {
    "files": {"first": 3.5, "again": 10, "restore": 4, "verify": 3, "size": 1.04},
    "database": {"first": 2.5, "again": 1, "changed": 3, "restore": 2, "verify": 2, "size": 1.04, "added": 1.05},
    "small": {"first": 4.5, "again": 10, "restore": 4, "verify": 4, "size": 1.0},
}


def run(command, environment=None, folder=None, descriptor=None, talk=None):
    """Runs to the end: wall seconds, CPU seconds, peak MB, output. Under time(1), which counts without this process's own memory. It is over
    when what it wrote is on disk, which not every program sees to itself."""
    with tempfile.NamedTemporaryFile("r") as report, tempfile.TemporaryFile() as out:
        begun = time.perf_counter()
        process = subprocess.Popen(
            ["/usr/bin/time", "-o", report.name, "-f", "%U %S %M", *command],
            env=os.environ | (environment or {}), cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            pass_fds=(descriptor,) if descriptor else (),
        )  # fmt: skip
        if talk:
            talk()
        code = process.wait(timeout=7200)
        subprocess.run(["sync", "-f", str(Place.present)], check=True)
        wall = time.perf_counter() - begun
        out.seek(0)
        text = out.read().decode(errors="replace")
        if code:
            raise RuntimeError(f"{command[0]} ended with {code}: {text[-2000:]}")
        user, system, kilobytes = report.read().split()[-3:]
    return {"wall": wall, "cpu": float(user) + float(system), "memory": int(kilobytes) / 1024, "output": text}


def size_of(folder):
    return sum(path.lstat().st_size for path in Path(folder).rglob("*") if path.is_file())


class Ours:
    name = "mosaajii"

    def __init__(self, options):
        self.engine = str(Path(options.bin).resolve() / "mosaajii-engine")
        sys.path.insert(0, str(_protos(options)))
        from mosaajii.engine.v1 import engine_pb2

        self.pb = engine_pb2

    def version(self):
        return subprocess.check_output([self.engine, "--version"], text=True).split()[-1]

    def prepare(self, folder):
        self.repository, self.keyring, self.last = folder / "repository", folder / "keyring", ""
        self._job(init=self.pb.InitRequest())

    def _job(self, **operation):
        request = self.pb.Request(repository=str(self.repository), keyring=str(self.keyring), scratch="/tmp", **operation)
        here, there = socket.socketpair()
        result = None

        def talk():
            nonlocal result
            there.close()
            packed = request.SerializeToString()
            here.sendall(struct.pack("<I", len(packed)) + packed)
            stream = here.makefile("rb")
            while header := stream.read(4):
                event = self.pb.Event.FromString(stream.read(struct.unpack("<I", header)[0]))
                if event.WhichOneof("event") == "result":
                    result = event.result
                    return

        # Descriptor 3 is the engine's; the shell puts it there.
        number = there.fileno()
        command = ["/bin/sh", "-c", f'exec "$0" --job 3<&{number}', self.engine]
        measured = run(command, descriptor=number, talk=talk)
        here.close()
        if result.status != "OK":
            raise RuntimeError(f"mosaajii-engine: {result.message}")
        return measured

    def backup(self, source):
        info = self.pb.BackupInfo(id=str(uuid.uuid4()), name="bench", type="FILES", compressed=True, created_at_unix_ns=time.time_ns())
        request = self.pb.BackupRequest(info=info, paths=[bytes(source)], base_id=self.last, settle_ns=SETTLE_SECONDS * 10**9)
        measured = self._job(backup=request)
        self.last = info.id
        return measured

    def _command(self, *arguments):
        return run([self.engine, arguments[0], "--repository", str(self.repository), "--keyring", str(self.keyring), *arguments[1:]])

    def restore(self, target):
        return self._command("restore", "--target", str(target))

    def verify(self):
        return self._command("verify")


class Restic:
    def __init__(self, program, name):
        self.program, self.name = program, name

    def version(self):
        return subprocess.check_output([self.program, "version"], text=True).split()[1]

    def prepare(self, folder):
        self.repository = folder / "repository"
        self.environment = {
            "RESTIC_REPOSITORY": str(self.repository), "RESTIC_PASSWORD": "bench", "RESTIC_CACHE_DIR": str(folder / "cache"), "HOME": str(folder)
        }  # fmt: skip
        self._run("init")

    def _run(self, *arguments):
        return run([self.program, "-q", *arguments], self.environment)

    def backup(self, source):
        return self._run("backup", str(source))

    def restore(self, target):
        return self._run("restore", "latest", "--target", str(target))

    def verify(self):
        return self._run("check", "--read-data")


class Borg:
    name = "borg"

    def version(self):
        return subprocess.check_output(["borg", "--version"], text=True).split()[1]

    def prepare(self, folder):
        self.repository, self.number = folder / "repository", 0
        self.environment = {
            "BORG_REPO": str(self.repository), "BORG_PASSPHRASE": "bench", "BORG_BASE_DIR": str(folder), "LC_ALL": "C.UTF-8"
        }  # fmt: skip
        run(["borg", "init", "--encryption", "repokey-blake2"], self.environment)

    def backup(self, source):
        self.number += 1
        return run(["borg", "create", f"::{self.number}", str(source)], self.environment)

    def restore(self, target):
        target.mkdir()
        return run(["borg", "extract", f"::{self.number}"], self.environment, folder=target)

    def verify(self):
        return run(["borg", "check", "--verify-data"], self.environment)


class Kopia:
    name = "kopia"

    def __init__(self, program):
        self.program = program

    def version(self):
        return subprocess.check_output([self.program, "--version"], text=True).split()[0]

    def prepare(self, folder):
        self.repository = folder / "repository"
        self.repository.mkdir()
        self.environment = {
            "KOPIA_PASSWORD": "bench", "KOPIA_CONFIG_PATH": str(folder / "config"), "KOPIA_CACHE_DIRECTORY": str(folder / "cache"),
            "KOPIA_LOG_DIR": str(folder / "log"), "KOPIA_CHECK_FOR_UPDATES": "false", "HOME": str(folder),
        }  # fmt: skip
        self._run("repository", "create", "filesystem", "--path", str(self.repository))
        self._run("policy", "set", "--global", "--compression=zstd-fastest")

    def _run(self, *arguments):
        return run([self.program, *arguments], self.environment)

    def backup(self, source):
        measured = self._run("snapshot", "create", "--json", str(source))
        self.last = json.loads(measured["output"][measured["output"].index("{") :].splitlines()[0])["id"]
        return measured

    def restore(self, target):
        return self._run("snapshot", "restore", self.last, str(target))

    def verify(self):
        return self._run("snapshot", "verify", "--verify-files-percent=100")


class Pipe:
    name = "tar, zstd, openssl"
    key = "-aes-256-ctr -pbkdf2 -pass pass:bench"

    def version(self):
        return subprocess.check_output(["zstd", "--version"], text=True).split("v")[-1].split(",")[0]

    def prepare(self, folder):
        self.repository, self.number = folder / "repository", 0
        self.repository.mkdir()

    def _shell(self, script):
        return run(["/bin/bash", "-o", "pipefail", "-c", script])

    def backup(self, source):
        self.number += 1
        return self._shell(f"tar -C / -c {str(source)[1:]} | zstd -1 -T0 -q | openssl enc {self.key} -out {self.repository}/{self.number}")

    def _plain(self):
        return f"openssl enc -d {self.key} -in {self.repository}/{self.number}"

    def restore(self, target):
        target.mkdir()
        return self._shell(f"{self._plain()} | zstd -d -q | tar -C {target} -x")

    def verify(self):
        return self._shell(f"{self._plain()} | zstd -t -q")


def _protos(options):
    """The engine's own messages for Python; only the public ones are made for clients."""
    folder = Path(options.folder).resolve() / "gen"
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).resolve().parents[2] / "proto"
    files = [str(path) for path in sorted((root / "mosaajii/engine/v1").glob("*.proto"))]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{root}", f"--python_out={folder}", *files], check=True)
    return folder


def find_tools(options):
    """What there is, and a word about what there is not."""
    tools, absent = {"ours": Ours(options)}, []
    peers = Path(options.peers).resolve()
    if shutil.which("restic"):
        tools["restic"] = Restic(shutil.which("restic"), "restic (Debian)")
    else:
        absent.append("restic of Debian is not installed")
    if (peers / "restic").exists():
        tools["restic-new"] = Restic(str(peers / "restic"), "restic (Go module)")
    else:
        absent.append("the newest restic could not be built as a Go module")
    if shutil.which("borg"):
        tools["borg"] = Borg()
    else:
        absent.append("borg is not installed")
    if (peers / "kopia").exists():
        tools["kopia"] = Kopia(str(peers / "kopia"))
    else:
        absent.append("kopia could not be built as a Go module")
    tools["pipe"] = Pipe()
    if options.tools:
        wanted = options.tools.split(",")
        if unknown := set(wanted) - set(tools):
            sys.exit(f"--tools names {', '.join(sorted(unknown))}; there are {', '.join(tools)}")
        tools = {name: tools[name] for name in wanted}
    return tools, absent


def compare(source, restored):
    difference = subprocess.run(["diff", "-r", "-q", "--no-dereference", source, restored], capture_output=True, text=True)
    if difference.returncode:
        raise RuntimeError(f"what was restored differs: {difference.stdout[:1000]}{difference.stderr[:1000]}")


class Place:
    """Where a tool has its repository and restores to: a file system in memory, made anew each time, so that neither a disk that others use
    nor inodes that were deleted a moment ago (which ext4 looks for long to avoid) are measured. Without root a folder like any other."""

    # The one there is; what a program writes lies in it.
    present = "/"

    def __init__(self, folder, gigabytes):
        self.folder, self.gigabytes, self.image = Path(folder).resolve() / "place", gigabytes, None

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        if os.geteuid() == 0 and self.gigabytes:
            self.image = tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="mosaajii-bench-")
            self.image.truncate(self.gigabytes * 2**30)
            subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-N", "1000000", self.image.name], check=True)
            subprocess.run(["mount", "-o", "loop,noatime", self.image.name, str(self.folder)], check=True)
        Place.present = self.folder
        return self.folder

    def __exit__(self, *_):
        Place.present = "/"
        if self.image:
            # Whoever still looks into it keeps it until he is done.
            subprocess.run(["umount", "-l", str(self.folder)], check=True)
            self.image.close()
        shutil.rmtree(self.folder)


def one_round(tool, corpus, folder, place, check):
    """All steps of one tool on one corpus, and the sizes."""
    source = folder
    if corpus == "database":
        source = folder / "source"
        (folder / "now").rename(source)
    found = {}
    try:
        tool.prepare(place)
        empty = size_of(tool.repository)
        found["first"] = tool.backup(source)
        found["size"] = size_of(tool.repository) - empty
        found["again"] = tool.backup(source)
        if corpus == "database":
            before = size_of(tool.repository)
            source.rename(folder / "now")
            (folder / "later").rename(source)
            found["changed"] = tool.backup(source)
            found["added"] = size_of(tool.repository) - before
        found["verify"] = tool.verify()
        found["restore"] = tool.restore(place / "restored")
        if check:
            inside = place / "restored" / str(source)[1:]
            compare(source, inside if inside.exists() else place / "restored")
    finally:
        if corpus == "database":
            source.rename(folder / ("later" if (folder / "now").exists() else "now"))
    return found


def measure(tools, corpus, options):
    folder = corpora.build(corpus, Path(options.folder).resolve() / "corpora", "quick" if options.quick else "full").resolve()
    # Files that have just been made would be read again.
    newest = max(path.lstat().st_ctime for path in [*folder.iterdir(), *folder.glob("*/*")])
    time.sleep(max(0.0, newest + SETTLE_SECONDS + 5 - time.time()))
    rounds = {name: [] for name in tools}
    for number in range(options.rounds):
        for name, tool in tools.items():
            with Place(options.folder, options.memory_disk) as place:
                found = one_round(tool, corpus, folder, place, number == 0 and options.compare)
            rounds[name].append(found)
            steps = ", ".join(f"{step} {found[step]['wall']:.1f} s ({found[step]['cpu']:.1f} CPU)" for step in STEPS if step in found)
            print(f"# {corpus}, round {number + 1}, {tool.name}: {steps}", flush=True)
    return {name: median(found) for name, found in rounds.items()}


def median(found):
    result = {"memory": max(one[step]["memory"] for one in found for step in STEPS if step in one)}
    for step in STEPS:
        if step in found[0]:
            result[step] = {what: statistics.median(one[step][what] for one in found) for what in ("wall", "cpu")}
    for what in ("size", "added"):
        if what in found[0]:
            result[what] = statistics.median(one[what] for one in found)
    return result


def cell(value, ours):
    if not value:
        return ""
    times = f" ({value['wall'] / ours['wall']:.1f}, CPU {value['cpu'] / max(ours['cpu'], 0.01):.1f})" if value is not ours else ""
    return f"{value['wall']:.1f} s{times}"


def rows_of(corpus, results, tools):
    ours = results["ours"]
    header = [corpus, "first backup", "unchanged again", "changed", "restore", "verify", "repository", "added by the change", "peak memory"]
    rows = [header]
    for name, result in results.items():
        sizes = [
            f"{result[what] / 1e6:.1f} MB" + ("" if name == "ours" else f" ({ours[what] / result[what]:.3f})") if what in result else ""
            for what in ("size", "added")
        ]
        rows.append([tools[name].name, *(cell(result.get(step), ours.get(step)) for step in STEPS), *sizes, f"{result['memory']:.0f} MB"])
    return rows


def judge(corpus, results):
    """What was aimed at and what was reached, by wall time: (what, reached, target, good)."""
    ours, restic = results["ours"], results.get("restic")
    judged = [("peak memory, MB", ours["memory"], f"below {MEMORY_LIMIT_MB}", ours["memory"] < MEMORY_LIMIT_MB)]
    for what, target in TARGETS[corpus].items() if restic else ():
        if what in ("size", "added"):
            reached = ours[what] / restic[what]
            judged.append((what, reached, f"at most {target}", reached <= target))
        else:
            reached = restic[what]["wall"] / ours[what]["wall"]
            judged.append((what, reached, f"at least {target}", reached >= target))
    return judged


def machine():
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    memory = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())[1]) / 2**20
    return f"{os.cpu_count()} cores of {processor}, {memory:.0f} GB of memory, Linux {platform.release()}"


def table(rows):
    return "\n".join(["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0]), *("| " + " | ".join(row) + " |" for row in rows[1:])])


def write_markdown(path, options, tools, absent, tables):
    versions = ", ".join(f"{tool.name} {tool.version()}" for tool in tools.values())
    text = [
        "# Speed beside other programs",
        f"Made by `make bench` on {machine()}; medians of {options.rounds} alternating runs in one sitting, encryption on, sources in the page "
        "cache, repositories and restored files on a fresh ext4 in memory, each step until what it wrote is flushed there. In brackets: the program's wall time and CPU time divided by ours; for sizes ours divided by the "
        f"program's. Versions: {versions}." + (f" Not in the table: {'; '.join(absent)}." if absent else ""),
        *(table(rows) for rows in tables),
    ]
    Path(path).write_text("\n\n".join(text) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--peers", required=True, help="where the Go modules were built")
    parser.add_argument("--folder", required=True, help="for corpora, which stay, and repositories, which do not")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-disk", type=int, default=10, metavar="GB", help="0: repositories and restored files lie in the folder")
    parser.add_argument("--corpora", default="files,database,small")
    parser.add_argument("--tools")
    parser.add_argument("--no-compare", dest="compare", action="store_false", help="trust what was restored in the first round")
    parser.add_argument("--markdown")
    options = parser.parse_args()
    Path(options.folder).mkdir(parents=True, exist_ok=True)
    # Leaves nothing mounted behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    tools, absent = find_tools(options)
    tables, missed = [], 0
    for corpus in options.corpora.split(","):
        results = measure(tools, corpus, options)
        tables.append(rows_of(corpus, results, tools))
        print(f"\n{table(tables[-1])}\n")
        for what, reached, target, good in judge(corpus, results):
            missed += not good
            print(f"{corpus}: {what} {reached:.2f}, {target}{'' if good else '  MISSED'}")
        print(flush=True)
    for word in absent:
        print(f"Not measured: {word}.")
    if options.markdown:
        write_markdown(options.markdown, options, tools, absent, tables)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
