"""Key management services to test against: AWS KMS by moto, which checks signatures; a peer that speaks Vault's transit engine; and a door
before either that fails as it is told."""

import base64
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from support.program import CEILING, wait_until

REGION = "eu-central-1"


class Door:
    """A proxy. `fault` is None, "throttled", "slow" or "gone"; `seen` counts what came, by target or path."""

    def __init__(self, port):
        door = self
        self.port_behind = port
        self.fault = None
        self.seen = []
        self.slow_seconds = 3
        self.throttled_body = b'{"__type":"ThrottlingException","message":"Rate exceeded"}'
        self.throttled_code = 400

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                door.seen.append(self.headers.get("X-Amz-Target") or self.path)
                fault = door.fault
                if fault == "gone":
                    self.close_connection = True
                    self.connection.close()
                    return
                if fault == "slow":
                    time.sleep(door.slow_seconds)
                if fault == "throttled":
                    self.answer(door.throttled_code, door.throttled_body)
                    return
                if fault == "disabled" and not self.headers.get("X-Amz-Target", "").endswith("DescribeKey"):
                    self.answer(400, b'{"__type":"DisabledException","message":"the key is disabled"}')
                    return
                behind = http.client.HTTPConnection("127.0.0.1", door.port_behind, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                behind.request(self.command, self.path, body, headers)
                response = behind.getresponse()
                self.answer(response.status, response.read())
                behind.close()

            def answer(self, code, body):
                try:
                    self.send_response(code)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # whoever asked has not waited

            do_GET = do_POST = do_PUT = serve

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Aws:
    """AWS KMS by moto; every request after the setting up must be signed by a user that may."""

    SETUP_ACTIONS = 4

    def __init__(self):
        import boto3

        with __import__("socket").socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = dict(os.environ) | {"INITIAL_NO_AUTH_ACTION_COUNT": str(self.SETUP_ACTIONS), "AWS_DEFAULT_REGION": REGION}
        self.process = subprocess.Popen(
            [os.path.join(os.path.dirname(sys.executable), "moto_server"), "-H", "127.0.0.1", "-p", str(port)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def reachable():
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/moto-api/")
                return connection.getresponse().status == 200
            except OSError:
                return False

        wait_until(reachable, "moto listens", CEILING)

        def client(service, key="setup", secret="setup"):
            return boto3.client(
                service, region_name=REGION, endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id=key, aws_secret_access_key=secret
            )

        iam = client("iam")
        iam.create_user(UserName="backup")
        pair = iam.create_access_key(UserName="backup")["AccessKey"]
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_user_policy(UserName="backup", PolicyName="all", PolicyDocument=json.dumps(policy))
        self.key_id = client("kms").create_key()["KeyMetadata"]["KeyId"]
        self.access, self.secret = pair["AccessKeyId"], pair["SecretAccessKey"]
        self.kms = client("kms", self.access, self.secret)
        self.door = Door(port)
        self.prefix = "aws"

    def settings(self):
        return {
            "KMS_PROVIDER": "AWS_KMS", "AWS_KMS_KEY_ID": self.key_id, "AWS_KMS_REGION": REGION, "AWS_KMS_ENDPOINT": self.door.address,
            "AWS_ACCESS_KEY_ID": self.access, "AWS_SECRET_ACCESS_KEY": self.secret,
        }  # fmt: skip

    def disable(self):
        # moto knows the state, but goes on to encrypt with the key: what AWS says then, the door says.
        self.kms.disable_key(KeyId=self.key_id)
        self.door.fault = "disabled"

    def enable(self):
        self.kms.enable_key(KeyId=self.key_id)
        self.door.fault = None

    def close(self):
        self.door.close()
        self.process.terminate()
        self.process.wait(CEILING)


class Vault:
    """Speaks what the transit engine of Vault and OpenBao says over HTTP: encrypt, decrypt, keys and their rotation, tokens, errors."""

    TOKEN = "hvs.a-token-of-the-tests"

    def __init__(self):
        peer = self
        self.versions = {"shop": [AESGCM(AESGCM.generate_key(256))]}
        self.disabled = False

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, code, content):
                body = json.dumps(content).encode() if content is not None else b""
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def serve(self):
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
                parts = self.path.strip("/").split("/")
                if self.headers.get("X-Vault-Token") != peer.TOKEN or peer.disabled:
                    self.answer(403, {"errors": ["permission denied"]})
                elif parts[:2] != ["v1", "transit"]:
                    self.answer(404, {"errors": ["no handler for route"]})
                elif parts[3] not in peer.versions:
                    self.answer(404 if parts[2] == "keys" else 400, {"errors": ["encryption key not found"]})
                elif parts[2] == "encrypt":
                    nonce = os.urandom(12)
                    keys = peer.versions[parts[3]]
                    sealed = nonce + keys[-1].encrypt(nonce, base64.b64decode(body["plaintext"], validate=True), None)
                    self.answer(200, {"data": {"ciphertext": f"vault:v{len(keys)}:" + base64.b64encode(sealed).decode()}})
                elif parts[2] == "decrypt":
                    try:
                        _, version, text = body["ciphertext"].split(":")
                        sealed = base64.b64decode(text, validate=True)
                        plain = peer.versions[parts[3]][int(version[1:]) - 1].decrypt(sealed[:12], sealed[12:], None)
                        self.answer(200, {"data": {"plaintext": base64.b64encode(plain).decode()}})
                    except Exception:
                        self.answer(400, {"errors": ["invalid ciphertext: unable to decrypt"]})
                elif parts[2] == "keys" and parts[4:] == ["rotate"]:
                    peer.versions[parts[3]].append(AESGCM(AESGCM.generate_key(256)))
                    self.answer(204, None)
                else:
                    self.answer(200, {"data": {"name": parts[3], "latest_version": len(peer.versions[parts[3]])}})

            do_GET = do_POST = serve

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.door = Door(self.server.server_address[1])
        self.door.throttled_code, self.door.throttled_body = 429, b'{"errors":["request path rate limit exceeded"]}'
        self.prefix = "vault"

    def settings(self):
        return {
            "KMS_PROVIDER": "VAULT", "VAULT_ADDR": self.door.address, "VAULT_TOKEN": self.TOKEN, "VAULT_TRANSIT_KEY": "shop",
        }  # fmt: skip

    def disable(self):
        self.disabled = True

    def enable(self):
        self.disabled = False

    def close(self):
        self.door.close()
        self.server.shutdown()
        self.server.server_close()


class Local:
    prefix = "local"
    door = None

    def settings(self):
        return {"KMS_PROVIDER": "LOCAL"}

    def close(self):
        pass
