"""make bench: what the server bears, and how quick a backup is beside restic's. Prints one table; ends with 1 when a target was missed.

    run.py --bin build/bin --gen build/python/gen --load build/tools/load [--seconds 60] [--source /usr/share] [--only load|backup|recovery]
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

CLIENTS, WATCHERS = 200, 100
FOLLOWERS, STEPS = 1000, 20


def resident_kb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def load(rows, options, folder):
    import grpc

    from support.api import pb
    from support.program import Server

    server = Server(folder / "load", BACKUP_FILES_PATHS=options.source, BACKUP_CONFIG_PATHS="/etc/hostname").start()
    # Started again at the same address without a log of each call, which this program would have to read: that takes the processor from
    # those that are measured.
    server.stop()
    server.settings |= {"MOSAAJII_LISTEN": server.address, "MOSAAJII_LOG_LEVEL": "warning"}
    server.launch()
    try:
        client = server.client()
        grpc.channel_ready_future(client.channel).result(60)
        small = client.backup("CONFIGURATION")
        over = threading.Event()
        taken = []

        def keep_backing_up():
            while not over.is_set():
                record = client.create("FILES", integrity_check_enabled=False, read_all=True)
                for _ in client.watch(record.id, timeout=600):
                    if over.is_set() and client.get(record.id).status in (pb.Backup.PENDING, pb.Backup.IN_PROGRESS):
                        client.call(client.backups.CancelBackup, pb.CancelBackupRequest(backup_id=record.id))
                taken.append(record.id)

        backing_up = threading.Thread(target=keep_backing_up)
        backing_up.start()
        # Those who ask and those who watch are programs of their own: an answer is not to wait for its reader to be done with others' events.
        clients, watchers = (
            subprocess.Popen(
                [options.load, server.address, small.id, str(options.seconds), *map(str, numbers)],
                env=os.environ | {"BENCH_TOKEN": server.token},
                stdout=subprocess.PIPE,
            )
            for numbers in ((CLIENTS, 0), (0, WATCHERS))
        )
        memory = []
        end = time.monotonic() + options.seconds
        while time.monotonic() < end:
            memory.append(resident_kb(server.process.pid))
            time.sleep(0.5)
        asked, watched = (json.loads(program.communicate(timeout=120)[0]) for program in (clients, watchers))
        over.set()
        backing_up.join()
        latencies, errors = sorted(asked["latencies"]), asked["errors"] + watched["errors"]
        third = max(1, len(memory) // 3)
        early, late = max(memory[third : 2 * third]), max(memory[-third:])
        name = f"{CLIENTS} clients, {WATCHERS} watchers, {options.seconds} s beside backups ({len(taken)})"
        rows.append((name, "calls", f"{len(latencies)} ({len(latencies) / options.seconds:.0f}/s)", "", True))
        rows.append(("", "events to watchers", str(watched["events"]), "", True))
        rows.append(("", "errors", f"{len(errors)} {sorted(set(errors))[:3] if errors else ''}", "0", not errors))
        p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
        rows.append(("", "GetBackup p50", f"{p50:.1f} ms", "", True))
        rows.append(("", "GetBackup p99", f"{p99:.1f} ms", "< 20 ms", p99 < 20))
        rows.append(("", "server RSS, middle and last third", f"{early // 1024} and {late // 1024} MiB", "flat", late < early * 1.1 + 4096))
    finally:
        server.stop()


def tree_size(folder):
    return sum(path.lstat().st_size for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink())


def timed(call, *arguments, **options):
    begun = time.perf_counter()
    result = call(*arguments, **options)
    return time.perf_counter() - begun, result


def backup(rows, options, folder):
    from support.data import size_of
    from support.program import Server

    plain = tree_size(options.source)
    source = f"{options.source} ({plain / 1e6:.0f} MB)"
    server = Server(folder / "backup", BACKUP_FILES_PATHS=options.source).start()
    try:
        client = server.client()
        first, record = timed(client.backup, "FILES", integrity_check_enabled=False)
        stored = size_of(server.repository)
        second, again = timed(client.backup, "FILES", integrity_check_enabled=False)
        verify, _ = timed(client.verify, record.id)
        restore, _ = timed(client.restore, record.id, server.restore_root / "all")
    finally:
        server.stop()
    share = again.statistics.bytes_written / max(1, record.statistics.bytes_written)

    def row(name, what, seconds, peer):
        beside = f"restic {peer:.1f} s" if peer else ""
        rows.append((name, what, f"{seconds:.1f} s ({plain / seconds / 1e6:.0f} MB/s)", beside, True))

    peer = restic(options, folder)
    row(source, "first backup", first, peer.get("first"))
    row("", "second backup", second, peer.get("second"))
    row("", "verify", verify, peer.get("verify"))
    row("", "restore", restore, peer.get("restore"))
    stored_peer = f"restic {peer['stored'] / 1e6:.0f} MB" if peer else "restic is not installed"
    rows.append(("", "repository", f"{stored / 1e6:.0f} MB", stored_peer, True))
    rows.append(("", "second backup writes", f"{share * 100:.2f} % of the first", "< 1 %", share < 0.01))


def restic(options, folder):
    if not shutil.which("restic"):
        return {}
    from support.data import size_of

    repository = folder / "restic"
    environment = os.environ | {
        "RESTIC_REPOSITORY": str(repository), "RESTIC_PASSWORD": "bench", "RESTIC_CACHE_DIR": str(folder / "restic-cache")
    }  # fmt: skip

    def run(*arguments):
        subprocess.run(["restic", *arguments], env=environment, check=True, capture_output=True, timeout=3600)

    run("init")
    result = {"first": timed(run, "backup", options.source)[0], "stored": size_of(repository)}
    result["second"] = timed(run, "backup", options.source)[0]
    result["verify"] = timed(run, "check", "--read-data")[0]
    result["restore"] = timed(run, "restore", "latest", "--target", folder / "restic-restored")[0]
    shutil.rmtree(folder / "restic-restored")
    return result


def followed_run(options, server, plan, watchers):
    """Executes the plan while so many follow it, half of them slowly. Answers the seconds that its steps took, and what was seen."""
    from support.recovery import Recovery, Step

    recovery = Recovery(server.client())
    run = recovery.until(recovery.execute(plan), "begin", Step.WAITING)
    program = subprocess.Popen(
        [options.load, "execution", server.address, run.id, str(watchers), str(watchers // 2)],
        env=os.environ | {"BENCH_TOKEN": server.token}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert program.stdout.readline() == "watching\n"
    program.stdin.write("go\n")
    program.stdin.flush()
    recovery.call("ApproveStep", execution_id=run.id, step_id="begin")
    seen = json.loads(program.communicate(timeout=600)[0])
    run = recovery.end(run)
    assert run.status == run.COMPLETED, run
    times = [one.completed_at.ToNanoseconds() for one in run.steps]
    return (max(times) - min(times)) / 1e9, seen


def following(rows, options, folder):
    """Many follow one execution of a plan, half of them slowly: neither the run nor the others are to wait for those."""
    from support.program import Server
    from support.recovery import Recovery, hook, step

    # What it prints is in its events: enough that a stream that nobody reads fills up.
    steps = [step("begin")] + [step(f"step-{i}", "hook:print", dependencies=[f"step-{i - 1}" if i else "begin"]) for i in range(STEPS)]
    server = Server(folder / "following")
    server.home.mkdir(mode=0o700)
    hook(server, "print", "head -c 4000 /dev/zero | tr '\\0' x; sleep 1")
    server.start()
    try:
        plan = Recovery(server.client()).create(*steps)
        alone, _ = followed_run(options, server, plan, 2)
        beside, seen = followed_run(options, server, plan, FOLLOWERS)
    finally:
        server.stop()
    latencies = sorted(seen["latencies"])
    within = sum(latency < 100 for latency in latencies) / len(latencies)
    rows.append((f"{FOLLOWERS} follow an execution, half slow", "its steps take", f"{beside:.1f} s, with 2 {alone:.1f} s", "no longer", beside < alone * 1.1 + 0.5))
    rows.append(("", "events to fast ones", f"{len(latencies)}", "", True))
    rows.append(("", "within 100 ms", f"{within * 100:.2f} %", "all", within == 1))
    p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
    rows.append(("", "p50, p99, slowest", f"{p50:.1f}, {p99:.1f}, {latencies[-1]:.1f} ms", "", True))
    rows.append(("", "slow ones, most behind", f"{seen['behind'] / 1000:.1f} s", "", True))
    lost = f"{seen['lost']} of {FOLLOWERS}, {seen['resumed']} streams were taken up again"
    rows.append(("", "watchers that lost an event", lost, "0", seen["lost"] == 0 and not seen["errors"]))
    if seen["errors"]:
        rows.append(("", "errors", f"{len(seen['errors'])} {sorted(set(seen['errors']))[:3]}", "0", False))


def recovery(rows, options, folder):
    following(rows, options, folder)
    rebuilding(rows, options, folder)


def rebuilding(rows, options, folder):
    """A server whose home is lost comes back from a place with 1,000 backups and 100,000 packs."""
    subprocess.run([Path(options.bin).parent / "test/mos_many", folder, "1000", "100"], check=True, timeout=3600)
    home = folder / "lost"
    (home / "keys").mkdir(parents=True, mode=0o700)
    shutil.copy(folder / "keyring", home / "keys/keyring")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds, result = timed(
        subprocess.run,
        [Path(options.bin) / "mosaajii-server", "--rebuild-catalog", "--from", f"file://{folder}/repo"],
        env={"PATH": os.environ["PATH"], "MOSAAJII_HOME": str(home)}, capture_output=True, text=True, timeout=3600,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert result.returncode == 0 and "can be restored" in result.stdout, result.stdout + result.stderr
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    rows.append(("recovery", "1,000 backups, 100,000 packs: CPU", f"{cpu:.1f} s", "< 60 s", cpu < 60))
    rows.append(("", "until the first can be restored", f"{seconds:.1f} s", "", True))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--gen", required=True)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--source", default="/usr/share")
    parser.add_argument("--only", choices=("load", "backup", "recovery"))
    parser.add_argument("--load", required=True, help="the program that tests/bench/load is built to")
    options = parser.parse_args()
    os.environ["MOS_TEST_BIN"], os.environ["MOS_TEST_GEN"] = os.path.abspath(options.bin), os.path.abspath(options.gen)
    rows = []
    with tempfile.TemporaryDirectory(prefix="mosaajii-bench-") as folder:
        for name, part in (("backup", backup), ("load", load), ("recovery", recovery)):
            if options.only in (None, name):
                part(rows, options, Path(folder))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for *texts, good in rows:
        print("  ".join(text.ljust(width) for text, width in zip(texts, widths)), "" if good else "  MISSED")
    return 0 if all(row[-1] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
