"""deploy/docker without Docker: the lines of the Dockerfile are followed in roots made by debootstrap, and what compose.yaml would start is
started there, as its user, with its settings, on a root that nobody can write to. As root; `make test-package`.

The build stage takes long: it is followed where MOS_TEST_FULL=1, else the programs of this build are taken for what it makes.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import urllib.request
from pathlib import Path

import pytest
import yaml

from support.program import BIN, CEILING, FULL, ROOT
from support.root import new_root, run

DOCKER = ROOT / "deploy/docker"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def stages():
    """{name: [(instruction, text)]} of the Dockerfile."""
    result = {}
    text = re.sub(r"^#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        word, rest = line.split(None, 1)
        if word == "FROM":
            lines = result[rest.split(" AS ")[1]] = []
        else:
            lines.append((word, rest))
    return result


class Image:
    """A stage of the Dockerfile, followed line by line in `system`."""

    def __init__(self, system, name, built):
        self.system, self.environment, self.user, self.entry = system, {"PATH": PATH}, None, None
        self.health = None
        folder, arguments = "/", {}
        for word, text in stages()[name]:
            match word:
                case "WORKDIR":
                    folder = text
                    system.path(text).mkdir(parents=True, exist_ok=True)
                case "ARG" | "ENV":
                    key, value = text.split("=", 1)
                    (arguments if word == "ARG" else self.environment)[key] = value.strip('"')
                case "RUN":
                    system.run("sh", "-c", f"cd {folder} && {text}", env=self.environment | arguments, timeout=7200)
                case "COPY":
                    self.copy(shlex.split(text), folder, built)
                case "USER":
                    self.user = text
                case "HEALTHCHECK":
                    self.health = json.loads(text[text.index("[") :])
                case "ENTRYPOINT":
                    self.entry = json.loads(text)
                case "VOLUME" | "EXPOSE":
                    pass
                case _:
                    raise AssertionError(f"{word} is not understood")

    def copy(self, words, folder, built):
        *sources, target = words
        at = Path(folder, target)
        if sources[0] == "--from=build":
            for source in sources[1:]:
                shutil.copy(built / Path(source).name, self.system.path(at))
        elif sources == ["."]:
            files = run("git", "-C", ROOT, "ls-files", "-z").stdout
            run("tar", "-C", ROOT, "--null", "-T", "-", "-cf", self.system.path("tmp/source.tar"), input=files)
            run("tar", "-C", self.system.path(at), "-xf", self.system.path("tmp/source.tar"))
        else:
            for source in sources:
                self.system.path(at).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, self.system.path(at))

    def command(self, words):
        """How its user runs it, with no capability and no way to get any."""
        user, group = self.user.split(":")
        return ["chroot", self.system.folder, "setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs",
                "--inh-caps=-all", "--bounding-set=-all", *words]  # fmt: skip

    def run(self, *words, env=None, check=0):
        done = subprocess.run(self.command(words), env=self.environment | (env or {}), capture_output=True, text=True, timeout=CEILING)
        assert done.returncode == check, (words, done.returncode, done.stdout, done.stderr)
        return done

    @contextlib.contextmanager
    def started(self, env):
        process = subprocess.Popen(self.command(self.entry), env=self.environment | env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        log = []
        try:
            for line in process.stdout:
                log.append(line)
                if "event=ready" in line:
                    break
            else:
                raise AssertionError("".join(log))
            yield process
            process.send_signal(signal.SIGTERM)
            rest = process.communicate(timeout=CEILING)[0]
            assert process.returncode == 0, "".join(log) + rest
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder /out of the build stage."""
    if FULL:
        with new_root(tmp_path_factory.mktemp("build")) as system:
            # What a machine without a network of its own is told of its registries.
            for name in (".npmrc", ".config/go/env"):
                if (Path.home() / name).exists():
                    system.path(f"root/{name}").parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(Path.home() / name, system.path(f"root/{name}"))
            Image(system, "build", None)
            yield system.path("out")
        return
    folder = tmp_path_factory.mktemp("out")
    run("install", "--strip", "-t", folder, *(BIN / name for name in ("mosaajii", "mosaajii-server", "mosaajii-engine", "mosaajii-gateway")))
    yield folder


@contextlib.contextmanager
def locked(image, writable):
    """Its root can be read only, but for what is listed: volumes, which begin as the image has them, and /tmp."""
    folder = image.system.folder
    mounted = []

    def mount(*words):
        run("mount", *words)
        mounted.append(words[-1])

    try:
        mount("--bind", folder, folder)
        for path in writable:
            mount("--bind", image.system.path(path), image.system.path(path))
        run("mount", "-o", "remount,ro,bind", folder)
        mount("-t", "proc", "proc", folder / "proc")
        mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", folder / "tmp")
        yield image
    finally:
        for path in reversed(mounted):
            run("umount", "-l", path)


def image(name, tmp_path_factory, built):
    with new_root(tmp_path_factory.mktemp(name)) as system:
        # What the network of compose calls them.
        system.path("etc/hosts").write_text("127.0.0.1 localhost server gateway\n")
        image = Image(system, name, built)
        system.path("data").mkdir()
        system.path("tls").mkdir(exist_ok=True)
        system.path("data/ledger").write_text("a line of it\n")
        system.run("chown", "-R", "10001:10001", "/data")
        yield image


@pytest.fixture(scope="module")
def server_image(tmp_path_factory, built):
    yield from image("server", tmp_path_factory, built)


@pytest.fixture(scope="module")
def gateway_image(tmp_path_factory, built):
    yield from image("gateway", tmp_path_factory, built)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture(scope="module")
def services():
    """Of compose.yaml, with ports that are free here."""
    text = (DOCKER / "compose.yaml").read_text()
    for port in ("50051", "8443"):
        text = re.sub(rf"\b{port}\b", free_port(), text)
    return yaml.safe_load(text.replace("0.0.0.0:", "127.0.0.1:"))["services"]


def test_every_library_is_there(server_image, gateway_image):
    for image, names in ((server_image, ("mosaajii", "mosaajii-server", "mosaajii-engine", "pg_dump", "mariadb-dump")), (gateway_image, ("mosaajii-gateway",))):
        for name in names:
            found = image.run("sh", "-c", f"command -v {name}").stdout.strip()
            if image.system.path(found).read_bytes()[:4] == b"\x7fELF":
                said = image.run("ldd", found).stdout
                assert "=>" in said and "not found" not in said, said


def test_alone_it_listens_where_nobody_else_comes(server_image):
    with locked(server_image, ["var/lib/mosaajii"]), server_image.started({"MOSAAJII_LISTEN": f"127.0.0.1:{(port := free_port())}"}):
        assert server_image.run(*server_image.health, env={"MOSAAJII_SERVER": f"127.0.0.1:{port}"}).stdout == "SERVING\n"
    server_image.run(*server_image.health, env={"MOSAAJII_SERVER": f"127.0.0.1:{port}"}, check=6)
    shutil.rmtree(server_image.system.path("var/lib/mosaajii"))
    server_image.system.run("install", "-d", "-o", "10001", "-g", "10001", "-m", "0700", "/var/lib/mosaajii")


def test_what_compose_starts(server_image, gateway_image, services):
    with contextlib.ExitStack() as stack:
        stack.enter_context(locked(server_image, ["var/lib/mosaajii", "tls"]))
        made = server_image.run(*services["certificates"]["entrypoint"]).stdout
        assert "DNS:gateway" in made
        # The volume is the same for all.
        shutil.copytree(server_image.system.path("tls"), gateway_image.system.path("tls"), dirs_exist_ok=True)
        gateway_image.system.run("chown", "-R", gateway_image.user, "/tls")
        assert sorted(os.listdir(gateway_image.system.path("tls"))) == ["ca.crt", "tls.crt", "tls.key"]
        assert not server_image.run(*services["certificates"]["entrypoint"]).stdout, "it is made once"
        stack.enter_context(locked(gateway_image, []))
        refused = server_image.run(*server_image.entry, env={"MOSAAJII_LISTEN": "0.0.0.0:0"}, check=2)
        assert "without TLS" in refused.stderr

        stack.enter_context(server_image.started(services["server"]["environment"]))
        server_image.run(*services["server"]["healthcheck"]["test"][1:], env=services["server"]["environment"])
        gateway = services["gateway"]["environment"]
        stack.enter_context(gateway_image.started(gateway))
        gateway_image.run(*gateway_image.health, env=gateway)
        trust = ssl.create_default_context(cafile=gateway_image.system.path("tls/ca.crt"))
        with urllib.request.urlopen(f"https://{gateway['MOSAAJII_GATEWAY_LISTEN']}/readyz", context=trust, timeout=CEILING) as answer:
            assert json.load(answer)["data"] == {"status": "SERVING"}

        def cli(*words):
            return server_image.run(*services["cli"]["entrypoint"], *words, env=services["cli"]["environment"]).stdout

        cli("backup", "create", "--type", "FILES", "--wait")
        assert "VERIFIED" in cli("backup", "list")
        cli("backup", "restore", "latest", "--target", "/var/lib/mosaajii/restore/again", "--wait")
        restored = server_image.system.path("var/lib/mosaajii/restore/again/data/ledger")
        assert restored.read_text() == "a line of it\n"
