"""docs/quickstart.md, block by block in one shell, as somebody would type it. Only `make`, which has run when tests run, is left out, and the
ports are ones that are free."""

import contextlib
import os
import re
import signal
import subprocess

import pytest

from support.program import BIN, CEILING, ROOT, environment
from support.stores import free_port

TEXT = (ROOT / "docs/quickstart.md").read_text()
pytestmark = pytest.mark.skipif(not (BIN / "mosaajii-gateway").exists(), reason="the gateway is not built")


def blocks():
    """[(heading, commands)]"""
    result, heading = [], ""
    for part in re.split(r"^(## .*)$", TEXT, flags=re.M):
        if part.startswith("## "):
            heading = part[3:]
        else:
            result += [(heading, block) for block in re.findall(r"^```\n(.*?)^```$", part, re.M | re.S)]
    return result


def test_every_block_runs_as_written(tmp_path):
    (first, made), *rest = blocks()
    assert made == "make\n" and len(rest) == 10
    (tmp_path / "build").mkdir()
    (tmp_path / "build/bin").symlink_to(BIN)
    # Stops at the first command that fails, and says of each block where it ends.
    script = "set -eu\n" + "".join(f"{commands}echo '== end of {number}'\n" for number, (_, commands) in enumerate(rest))
    ports = {port: str(free_port()) for port in ("8025", "8080", "50051")}
    for port, free in ports.items():
        script = re.sub(rf"\b{port}\b", free, script)
    listen = f"127.0.0.1:{ports['50051']}"
    with (tmp_path / "said").open("w") as out:
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment(MOSAAJII_LISTEN=listen, MOSAAJII_SERVER=listen, MOSAAJII_GATEWAY_LISTEN=f"127.0.0.1:{ports['8080']}")
            | {name: value for name, value in os.environ.items() if name.startswith("PIP_")},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = shell.wait(4 * CEILING)
        finally:
            # What a block that failed has left running; nothing else is in this session.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    said = (tmp_path / "said").read_text()
    log = (tmp_path / "var/server.log").read_text()
    assert code == 0, f"{said}\n{log}"
    parts = re.split(r"^== end of \d+\n", said, flags=re.M)
    told = {}
    for (heading, _), part in zip(rest, parts, strict=False):
        told[heading] = told.get(heading, "") + part
    assert "no difference" in told["Back up, verify, restore"] and "3 sales" in told["Back up, verify, restore"]
    assert "COMPLETED" in told["Offsite"]
    assert "as it must" in told["An alert"] and "Subject: " in told["An alert"]
    told_resolved = re.search(r'event="alert resolved" type=BACKUP_FAILED', log)
    assert told_resolved, "a backup that works resolves the alert"
    assert "The negative control failed on the damaged copy, as it must" in told["A recovery plan"]
    assert (tmp_path / "var/admin.token").read_text().strip() in told["Look at it"]
    # What was started has ended as it should, by the last block.
    assert said.endswith(f"== end of {len(rest) - 1}\n")
    for program in ("server", "gateway"):
        assert "event=stopped" in (tmp_path / f"var/{program}.log").read_text()


def test_what_the_documentation_names_is_there():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]
    for page in pages:
        text = page.read_text()
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
            assert target.startswith("https://") or page.parent.joinpath(target).exists(), f"{page}: {target}"
        for path in re.findall(r"`((?:server|client|gateway|proto|deploy|docs|tests)/[\w./*-]+)`", text):
            assert list(ROOT.glob(path.rstrip("/"))), f"{page}: {path}"
