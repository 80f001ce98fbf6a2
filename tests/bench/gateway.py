"""What the gateway costs: GetBackup through it beside the same call by gRPC, against the same server. Prints one table.

    gateway.py --bin build/bin --gen build/python/gen [--rounds 5] [--seconds 2] [--callers 16]

Rounds of both take turns, so that what else the machine does hits both alike; the table has the medians of the rounds. Both are asked by a
Python program, in which a gRPC call costs more than an HTTP request; so the server's and the gateway's own processor time a call stand
beside, which do not depend on who asks.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


async def by_http(address, token, backup_id, end):
    """Asks again and again over one connection; the time of each answer in milliseconds."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    request = f"GET /api/backups/{backup_id} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    times = []
    while (begun := time.perf_counter()) < end:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        assert backup_id.encode() in await reader.readexactly(length)
        times.append((time.perf_counter() - begun) * 1000)
    writer.close()
    return times


async def by_grpc(address, token, backup_id, end):
    """The same by gRPC, over one connection of its own."""
    import grpc

    from support.api import backup_pb2_grpc, pb

    request, metadata = pb.GetBackupRequest(backup_id=backup_id), [("authorization", f"Bearer {token}")]
    times = []
    async with grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = backup_pb2_grpc.BackupServiceStub(channel)
        while (begun := time.perf_counter()) < end:
            assert (await stub.GetBackup(request, metadata=metadata)).id == backup_id
            times.append((time.perf_counter() - begun) * 1000)
    return times


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(ask, address, token, backup_id, seconds, callers, processes):
    """(answers a second, p50, p99 in milliseconds, processor microseconds an answer of each process and together)."""

    async def all_callers():
        end = time.perf_counter() + seconds
        return await asyncio.gather(*(ask(address, token, backup_id, end) for _ in range(callers)))

    before = [processor_seconds(pid) for pid in processes]
    begun = time.perf_counter()
    times = sorted(value for one in asyncio.run(all_callers()) for value in one)
    took = time.perf_counter() - begun
    cost = [(processor_seconds(pid) - old) / len(times) * 1e6 for pid, old in zip(processes, before)]
    return len(times) / took, times[len(times) // 2], times[int(len(times) * 0.99)], *cost, sum(cost)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--gen", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--callers", type=int, default=16)
    options = parser.parse_args()
    os.environ["MOS_TEST_BIN"], os.environ["MOS_TEST_GEN"] = os.path.abspath(options.bin), os.path.abspath(options.gen)
    from support.program import Server
    from support.rest import Gateway

    rounds = {"gRPC": [], "gateway": []}
    with tempfile.TemporaryDirectory(prefix="mosaajii-bench-") as folder:
        server = Server(Path(folder) / "home", BACKUP_CONFIG_PATHS="/etc/hostname").start()
        gateway = Gateway(server.address)
        try:
            backup_id = server.client().backup("CONFIGURATION").id
            processes = [server.process.pid, gateway.process.pid]
            # The first round of each warms up and is not counted.
            for number in range(options.rounds + 1):
                for name, ask, address in (("gRPC", by_grpc, server.address), ("gateway", by_http, gateway.address)):
                    found = measure(ask, address, server.token, backup_id, options.seconds, options.callers, processes)
                    if number:
                        rounds[name].append(found)
        finally:
            gateway.stop()
            server.stop()
    medians = {name: [statistics.median(column) for column in zip(*found)] for name, found in rounds.items()}
    lines = ("answers a second", "p50, ms", "p99, ms", "processor µs an answer: server", "gateway", "together")
    print(f"GetBackup, {options.callers} callers, {options.rounds} rounds of {options.seconds:g} s: medians")
    print(f"{'':<32}{'gRPC':>10}{'gateway':>10}{'ratio':>8}   ratio of each round")
    for column, line in enumerate(lines):
        direct, through = medians["gRPC"][column], medians["gateway"][column]
        each = [b[column] / a[column] for a, b in zip(rounds["gRPC"], rounds["gateway"]) if a[column]]
        # Beside gRPC the gateway does nothing: there is nothing to compare with.
        told = f"{statistics.median(each):>8.2f}   {min(each):.2f} to {max(each):.2f}" if line != "gateway" else ""
        print(f"{line:>32}{direct:>10.2f}{through:>10.2f}{told}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
