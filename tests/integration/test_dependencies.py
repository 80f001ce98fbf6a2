"""What the programs are linked with, and that the engine needs no server."""

import re
import subprocess

from support.data import digest, make_files
from support.program import BIN, engine


def libraries(program):
    """Every library that would be loaded, by ldd."""
    result = subprocess.run(["ldd", BIN / program], capture_output=True, text=True, check=True)
    assert "not found" not in result.stdout, result.stdout
    return re.findall(r"=> (/\S+)", result.stdout)


def symbols(library):
    return subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout


def crypto_of(program):
    """(path, is it BoringSSL) for all loaded libraries that define what both OpenSSL and BoringSSL define."""
    found = []
    for library in libraries(program):
        names = symbols(library)
        if re.search(r" T EVP_DigestInit(_ex)?(@|$)", names, re.MULTILINE):
            found.append((library, "EVP_aead_aes_256_gcm" in names))
    return found


def test_engine_has_boringssl_alone_and_no_network():
    crypto = crypto_of("mosaajii-engine")
    assert [boring for _, boring in crypto] == [True], crypto
    names = [path.rsplit("/", 1)[1] for path in libraries("mosaajii-engine")]
    assert not [name for name in names if re.match(r"lib(ssl|grpc|gpr|curl|nghttp2|cares|sodium|protobuf\.)", name)], names


def test_server_has_no_boringssl():
    crypto = crypto_of("mosaajii-server")
    assert crypto and not any(boring for _, boring in crypto), crypto
    assert not [path for path in libraries("mosaajii-server") if "android" in path]
    assert not any(boring for _, boring in crypto_of("mosaajii"))


def test_engine_restores_and_verifies_without_server_and_catalog(start, tmp_path):
    source = make_files(tmp_path / "source", 50, 20_000)
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    earlier = client.backup("FILES", name="earlier")
    state = digest(source)
    (source / "part-0/file-00000.dat").write_bytes(b"newer")
    client.backup("FILES", name="newest")
    server.stop()
    for path in server.home.iterdir():
        if path.name not in ("repo", "keys"):
            subprocess.run(["rm", "-rf", path], check=True)
    where = ("--repository", server.repository, "--keyring", server.keyring)
    engine("verify", *where, "--backup", "latest")
    engine("restore", *where, "--backup", "latest", "--target", tmp_path / "latest")
    assert digest(f"{tmp_path}/latest{source}") == digest(source)
    engine("restore", *where, "--backup", earlier.id, "--target", tmp_path / "earlier")
    assert digest(f"{tmp_path}/earlier{source}") == state
    chosen = f"{source}/part-1"
    engine("restore", *where, "--backup", "latest", "--target", tmp_path / "some", "--include", chosen)
    assert digest(f"{tmp_path}/some{chosen}") == digest(chosen)
    wrong = engine("restore", *where, "--backup", "no-such-backup", "--target", tmp_path / "x", check=None)
    assert wrong.returncode not in (0, 3) and "no-such-backup" in wrong.stderr
    nothing = engine("restore", "--repository", tmp_path, "--keyring", server.keyring, "--backup", "latest", "--target", tmp_path / "x", check=None)
    assert nothing.returncode not in (0, 3) and nothing.stderr.strip()


def test_programs_explain_themselves():
    for program in ("mosaajii-server", "mosaajii-engine", "mosaajii"):
        for option, word in (("--help", "mosaajii"), ("--version", "")):
            result = subprocess.run([BIN / program, option], capture_output=True, text=True, timeout=60)
            assert result.returncode == 0 and result.stdout.strip() and word in result.stdout, (program, option, result)
        result = subprocess.run([BIN / program, "--no-such-option"], capture_output=True, text=True, timeout=60)
        assert result.returncode == 2 and "no-such-option" in result.stderr, (program, result)
