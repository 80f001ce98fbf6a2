"""The gateway under test, plain HTTP, and tokens as the POS makes them."""

import base64
import hashlib
import hmac
import http.client
import json
import re
import signal
import subprocess
import threading
import time

from support.program import BIN, CEILING, environment, gone

HTTP_OF = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404, "ALREADY_EXISTS": 409, "ABORTED": 409, "RESOURCE_EXHAUSTED": 429, "CANCELLED": 499, "UNKNOWN": 500, "INTERNAL": 500,
    "DATA_LOSS": 500, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
}  # fmt: skip


class Gateway:
    """A mosaajii-gateway in front of the server at `address`."""

    def __init__(self, address, **settings):
        self.log = []
        self._news = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            [BIN / "mosaajii-gateway"],
            env=environment(**{"MOSAAJII_SERVER": address, "MOSAAJII_GATEWAY_LISTEN": "127.0.0.1:0"} | settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        threading.Thread(target=self._read, daemon=True).start()
        with self._news:

            def ready():
                return self._ended or any("event=ready" in line for line in self.log)

            assert self._news.wait_for(ready, CEILING) and not self._ended, "".join(self.log)
            line = next(line for line in self.log if "event=ready" in line)
        self.address = re.search(r"\baddress=\"?([^\s\"]+)", line).group(1)

    def _read(self):
        for line in self.process.stdout:
            with self._news:
                self.log.append(line.decode(errors="replace"))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(CEILING)
        assert code == 0 and gone(self.process.pid), f"the gateway ended with {code}:\n{''.join(self.log[-20:])}"

    def rest(self, token=None):
        return Rest(self.address, token)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    def data(self, status=200):
        """What stands in the envelope of a success."""
        assert self.status == status, (self.status, self.body[:2000])
        envelope = self.json
        assert envelope["success"] is True and "error" not in envelope, envelope
        return envelope["data"]

    def error(self, code):
        """The sentence in the envelope of this error."""
        envelope = self.json
        assert (self.status, envelope.get("code")) == (HTTP_OF[code], code), (self.status, self.body[:2000])
        assert envelope["success"] is False and isinstance(envelope["error"], str) and envelope["error"], envelope
        assert isinstance(envelope["details"], list), envelope
        assert self.headers["Content-Type"].startswith("application/json")
        return envelope["error"]

    @property
    def to_come(self):
        """An answer of a method that does not exist yet, which is in good form."""
        if self.status != 501:
            return False
        self.error("UNIMPLEMENTED")
        return True


class Rest:
    def __init__(self, address, token):
        self.address, self.token = address, token

    def open(self, method, path, body=None, headers=None, timeout=CEILING):
        """The response with its body still to be read."""
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        sent = {"Authorization": f"Bearer {self.token}"} if self.token is not None else {}
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            sent["Content-Type"] = "application/json"
        connection.request(method, path, body, sent | (headers or {}))
        response = connection.getresponse()
        response.owner = connection
        return response

    def call(self, method, path, body=None, headers=None):
        response = self.open(method, path, body, headers)
        try:
            return Answer(response)
        finally:
            response.owner.close()

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.call("POST", path, body, **options)

    def wait_for_backup(self, backup_id):
        """Follows the backup to its end and answers the record."""
        response = self.open("GET", f"/api/backups/{backup_id}/watch")
        while response.readline():
            pass
        response.owner.close()
        return self.get(f"/api/backups/{backup_id}").data()


SECRET = "a secret of the POS, thirty-two bytes or more"


def part(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def pos_token(role="ADMIN", status="ACTIVE", secret=SECRET, header=None, sign=True, **claims):
    """An access token as the POS signs it; a claim of None is left out."""
    now = int(time.time())
    payload = {
        "userId": f"user-{role.lower()}", "email": "someone@example.com", "role": role, "status": status, "iat": now, "exp": now + 600,
        "iss": "mosaajii-pos", "aud": "mosaajii-pos-client",
    } | claims  # fmt: skip
    payload = {name: value for name, value in payload.items() if value is not None}
    signed = f"{part(header or {'alg': 'HS256', 'typ': 'JWT'})}.{part(payload)}"
    mac = hmac.new(secret if isinstance(secret, bytes) else secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{part(mac) if sign else ''}"
