"""The client packages that `make clients` builds, installed as a user would and run against a live server by their own tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.program import ROOT, environment

CLIENTS = Path(os.environ.get("MOS_TEST_CLIENTS", ROOT / "build/clients"))


@pytest.fixture(scope="module")
def where(start_shared, tmp_path_factory):
    source = tmp_path_factory.mktemp("source") / "file"
    source.write_text("configuration")
    server = start_shared(BACKUP_CONFIG_PATHS=source)
    return {"MOSAAJII_SERVER": server.address, "MOSAAJII_TOKEN": server.token}


def run(command, folder, where):
    result = subprocess.run(command, cwd=folder, env=environment(**where), capture_output=True, text=True, timeout=400)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def test_python(where, tmp_path):
    (wheel,) = (CLIENTS / "python/dist").glob("*.whl")
    # grpcio itself comes from the environment that the tests run in.
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", tmp_path, wheel], check=True)
    tests = CLIENTS / "python/tests"
    assert "Ran 2 tests" in run([sys.executable, "-m", "unittest", "discover", "-s", tests, "-t", tests], tmp_path, where | {"PYTHONPATH": tmp_path})


def test_node(where):
    assert "# pass 2" in run(["node", "--test", "--test-reporter=tap"], CLIENTS / "node", where)


def test_node_package_installs(tmp_path):
    (package,) = (CLIENTS / "node").glob("*.tgz")
    names = subprocess.run(["tar", "-tzf", package], capture_output=True, text=True, check=True).stdout.split()
    wanted = {"index.js", "index.d.ts", "README.md", "mosaajii/backup/v1/backup_pb.js", "mosaajii/backup/v1/recovery_pb.d.ts"}
    assert {f"package/{name}" for name in wanted} <= set(names)


def test_go(where):
    shown = run(["go", "test", "-count=1", "-v", "./..."], CLIENTS / "go", where | {"GOTOOLCHAIN": "auto"})
    assert shown.count("--- PASS") == 2 and "SKIP" not in shown
