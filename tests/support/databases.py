"""Real database servers for the tests: started in a folder of the test, on a free port of loopback and a Unix socket, and stopped by their pid."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

from support.program import CEILING, wait_until


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _as_user(user):
    """These servers refuse to run as root."""
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if os.geteuid() == 0 else []


class _Database:
    """`password` is that of the account `admin`, who may do everything."""

    def __init__(self, password=None):
        # Below /tmp itself: the path of a Unix socket must be short, and the server's user must get there.
        self.folder = Path(tempfile.mkdtemp(prefix="mosaajii-db-", dir="/tmp"))
        self.password = secrets.token_hex(8) if password is None else password
        self.port = _free_port()
        self.process = None
        self.log = self.folder / "log"

    def run(self, arguments, **options):
        options = {"check": True, "capture_output": True, "timeout": CEILING} | options
        result = subprocess.run([str(argument) for argument in arguments], **options)
        return result.stdout

    def url(self, name, user="admin", password=None, socket=False, **parameters):
        password = self.password if password is None else password
        place = self.socket_place if socket else f"127.0.0.1:{self.port}"
        account = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in parameters.items())
        return f"{self.scheme}://{account}@{place}/{quote(name, safe='')}{'?' if query else ''}{query}"

    def launch(self, arguments):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*_as_user(self.user), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

        def ready():
            assert self.process.poll() is None, self.log.read_text()
            return self.answers()

        wait_until(ready, f"{self.scheme} answers")

    def kill(self):
        """Without a farewell to anybody."""
        self.process.send_signal(self.kill_signal)
        self.process.wait(CEILING)
        self.process = None

    def stop(self):
        if self.process:
            self.process.send_signal(self.stop_signal)
            self.process.wait(CEILING)
            self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder)


class Postgres(_Database):
    scheme = "postgresql"
    user = "postgres"
    stop_signal = signal.SIGINT
    # The one that ends its sessions' processes too.
    kill_signal = signal.SIGQUIT
    serial = "SERIAL PRIMARY KEY"
    dump_program = b"pg_dump"
    odd = "o'd\"d =n/a\\me % ünï"

    def programs(self):
        return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))

    @property
    def socket_place(self):
        return f"{quote(str(self.folder), safe='')}:{self.port}"

    def start(self):
        data = self.folder / "data"
        if not data.exists():
            if os.geteuid() == 0:
                shutil.chown(self.folder, self.user)
            secret = self.folder / "password"
            secret.write_text(self.password + "\n")
            if os.geteuid() == 0:
                shutil.chown(secret, self.user)
            self.run(
                [*_as_user(self.user), self.programs() / "initdb", "-D", data, "-U", "admin", "-A", "scram-sha-256",
                 f"--pwfile={secret}", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
            )  # fmt: skip
            secret.unlink()
        self.launch(
            [self.programs() / "postgres", "-D", data, "-c", "listen_addresses=127.0.0.1", "-c", f"port={self.port}",
             "-c", f"unix_socket_directories={self.folder}", "-c", "fsync=off", "-c", "lc_messages=C"]
        )  # fmt: skip

    def answers(self):
        return subprocess.run(["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], timeout=CEILING).returncode == 0

    def _psql(self, name, user="admin", password=None):
        environment = os.environ | {"PGPASSWORD": self.password if password is None else password, "PGDATABASE": name}
        arguments = ["psql", "-X", "-q", "-A", "-t", "-F", "\x1f", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port)]
        return [*arguments, "-U", user], environment

    def sql(self, statements, name="postgres", user="admin", password=None):
        """Rows as lists of texts."""
        arguments, environment = self._psql(name, user, password)
        text = self.run(arguments, input=statements.encode(), env=environment)
        return [line.split("\x1f") for line in text.decode().splitlines()]

    def session(self, name):
        """A session that takes statements as they come."""
        arguments, environment = self._psql(name)
        return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)

    def quote(self, name):
        return '"' + name.replace('"', '""') + '"'

    def create(self, name):
        self.sql(f"CREATE DATABASE {self.quote(name)}")

    def drop(self, name):
        self.sql(f"DROP DATABASE {self.quote(name)} WITH (FORCE)")

    def fill(self, table, count):
        return f"INSERT INTO {table}(note) SELECT md5(i::text) || md5((7 * i)::text) || md5((11 * i)::text) FROM generate_series(1, {count}) i"

    def content(self, table, name):
        return self.sql(f"SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM {table} t", name)

    def tables(self, name):
        return {row[0] for row in self.sql("SELECT relname FROM pg_class WHERE relkind = 'r'", name)}

    def lock(self, table):
        return f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;\n"

    def is_locked(self, name, table):
        return self.sql(f"SELECT 1 FROM pg_locks WHERE relation = '{table}'::regclass AND mode = 'AccessExclusiveLock' AND granted", name)

    def waits_for_lock(self):
        return self.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'mosaajii-backup'")

    def databases(self):
        return {row[0] for row in self.sql("SELECT datname FROM pg_database WHERE NOT datistemplate")}

    def connections(self):
        """Sessions of the backup."""
        return int(self.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mosaajii-backup'")[0][0])


class MariaDB(_Database):
    scheme = "mysql"
    user = "mysql"
    stop_signal = signal.SIGTERM
    kill_signal = signal.SIGKILL
    serial = "INT PRIMARY KEY AUTO_INCREMENT"
    dump_program = b"mariadb-dump"
    odd = "o'd\"d =n/a`me % ünï"

    @property
    def socket(self):
        return self.folder / "socket"

    @property
    def socket_place(self):
        return quote(str(self.socket), safe="")

    def start(self):
        data = self.folder / "data"
        if not data.exists():
            if os.geteuid() == 0:
                shutil.chown(self.folder, self.user)
            self.run(
                [*_as_user(self.user), "mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db",
                 "--auth-root-authentication-method=normal"]
            )  # fmt: skip
        self.launch(
            ["mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={self.socket}", "--bind-address=127.0.0.1",
             f"--port={self.port}", f"--pid-file={self.folder}/pid", "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve"]
        )  # fmt: skip
        hexed = self.password.encode().hex()
        self.sql(
            "CREATE USER IF NOT EXISTS admin@'%'; GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION;"
            f"EXECUTE IMMEDIATE CONCAT('SET PASSWORD FOR admin@''%'' = PASSWORD(', QUOTE(CONVERT(X'{hexed}' USING utf8mb4)), ')');"
            if hexed
            else "SELECT 1"
        )

    def answers(self):
        return subprocess.run(
            ["mariadb", "--no-defaults", "-S", self.socket, "-u", "root", "-e", "SELECT 1"], capture_output=True, timeout=CEILING
        ).returncode == 0

    def _client(self, name):
        arguments = ["mariadb", "--no-defaults", "--default-character-set=utf8mb4", "-S", str(self.socket), "-u", "root", "-N", "-B", "--raw"]
        return [*arguments, *([f"--database={name}"] if name else [])]

    def sql(self, statements, name=None):
        """Rows as lists of texts; as the server's root."""
        return [line.split("\t") for line in self.run(self._client(name), input=statements.encode()).decode().splitlines()]

    def session(self, name):
        """A session that takes statements as they come."""
        return subprocess.Popen(
            [*self._client(name), "-n"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def quote(self, name):
        return "`" + name.replace("`", "``") + "`"

    def create(self, name):
        self.sql(f"CREATE DATABASE {self.quote(name)} CHARACTER SET utf8mb4")

    def drop(self, name):
        self.sql(f"DROP DATABASE {self.quote(name)}")

    def fill(self, table, count):
        return f"INSERT INTO {table}(note) SELECT CONCAT(MD5(seq), MD5(7 * seq), MD5(11 * seq)) FROM seq_1_to_{count}"

    def content(self, table, name):
        return self.sql(f"SELECT COUNT(*), SUM(CRC32(CONCAT(id, note))) FROM {table}", name)

    def tables(self, name):
        return {row[0] for row in self.sql("SHOW TABLES", name)}

    def lock(self, table):
        return f"LOCK TABLES {table} WRITE;\n"

    def is_locked(self, name, table):
        return self.sql(f"SHOW OPEN TABLES FROM {self.quote(name)} LIKE '{table}'") and self.sql(
            f"SHOW OPEN TABLES FROM {self.quote(name)} WHERE `Table` = '{table}' AND In_use > 0"
        )

    def waits_for_lock(self):
        return self.sql("SELECT 1 FROM information_schema.PROCESSLIST WHERE USER = 'admin' AND STATE LIKE 'Waiting for table%'")

    def databases(self):
        return {row[0] for row in self.sql("SHOW DATABASES")} - {"information_schema", "mysql", "performance_schema", "sys"}

    def connections(self):
        """Sessions of the backup's account."""
        return int(self.sql("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'admin'")[0][0])


# Whatever has a meaning in a URL, a shell, a connection string, an option file or a password file.
HOSTILE_PASSWORD = "p:a/s?s#w@o%r d'\"\\$&=+,;*"
