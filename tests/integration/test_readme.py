"""README.md: its commands run as they stand there, against a server as `make run` starts it. Left out are `make run` and `make test` themselves,
the way back from a bucket, which test_offsite.py goes, and the recovery for real, which is test_recovery.py's."""

import re
import sqlite3
import subprocess

import pytest

from support.program import BIN, CEILING, GEN, ROOT, TOOLS, environment, wait_until

pytestmark = pytest.mark.skipif(not (TOOLS / "grpcurl").exists(), reason="grpcurl is not installed")


def blocks():
    """{heading: [commands]}"""
    result = {}
    for part in re.split(r"^## ", (ROOT / "README.md").read_text(), flags=re.M)[1:]:
        heading, text = part.split("\n", 1)
        result[heading] = re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)
    return result


def test_commands_of_the_readme(start, tmp_path):
    shop = tmp_path / "shop.db"
    with sqlite3.connect(shop) as connection:
        connection.execute("CREATE TABLE sales (id INTEGER PRIMARY KEY)")
    connection.close()
    (tmp_path / "offsite").mkdir()
    server = start("var", BACKUP_FILES_PATHS="/usr/share/doc/bash", DATABASE_URL=f"sqlite://{shop}", OFFSITE_PROVIDER="LOCAL_REMOTE",
                   OFFSITE_BUCKET=tmp_path / "offsite")  # fmt: skip
    (tmp_path / "build").mkdir()
    (tmp_path / "build/bin").symlink_to(BIN)
    (tmp_path / "proto").symlink_to(ROOT / "proto")
    parts = blocks()

    def run(text, **options):
        text = text.replace("127.0.0.1:50051", server.address).replace("/tmp/client", str(tmp_path / "client"))
        done = subprocess.run(
            ["bash", "-euc", text],
            cwd=tmp_path,
            env=environment(MOSAAJII_SERVER=server.address, MOSAAJII_TOKEN_FILE="var/admin.token") | {"PATH": f"{TOOLS}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=CEILING,
            **options,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    (text,) = parts["Command line"]
    said = run(text)
    assert "before the upgrade" in said and "bash" in said
    assert list((tmp_path / "var/restore/today/usr/share/doc/bash").iterdir())

    (text,) = parts["grpcurl"]
    said = run(text)
    assert "mosaajii.backup.v1.BackupService" in said and '"nightly"' in said

    (text,) = parts["Python"]
    # The messages are there already, as the two lines before would make them.
    made, script = text.split("cat >", 1)
    assert "pip install -q grpcio grpcio-tools" in made and "protoc -Iproto" in made
    (tmp_path / "client").symlink_to(GEN)
    script = ("cat >" + script).replace("/tmp/client/bin/python", str(GEN.parent / "bin/python")).replace("/tmp/client/follow.py", "follow.py")
    assert "VERIFIED" in run(script).splitlines()[-1]

    (text,) = parts["When the server is gone"]
    run(text.replace("/tmp/rescued", str(tmp_path / "rescued")))
    assert list((tmp_path / "rescued").rglob("*"))

    text, _ = parts["Copies at another place, and the way back from there"]
    server.cli("backup", "create", "--type", "FILES", "--wait")
    # A copy that is still under way is none yet.
    wait_until(lambda: server.cli("offsite", "verify", "latest", check=None).returncode == 0, "a whole copy")
    assert "primary" in run(text)

    (text,) = parts["Keys and the audit trail"]
    run(text, input="a passphrase that is long enough\n")

    for kind in ("DATABASE", "FILES"):
        server.cli("backup", "create", "--type", kind, "--wait")
    (text,) = parts["Recovery plans"]
    before, after = text.split("build/bin/mosaajii dr test", 1)
    run(before)
    test, _, report = ("build/bin/mosaajii dr test" + after).strip().split("\n")
    plan = server.cli_json("dr", "plan", "list")[0]["id"]
    run(f"{test.split('#')[0].replace('PLAN', plan)} || [ $? = 3 ]")
    found = server.cli_json("dr", "list", "--tests")[0]
    run(report.replace("RUN", found["id"]))
