"""Who is told of alerts in the tests: a mail server that asks for TLS and a login, a webhook that checks what it gets, and an outside
watcher."""

import datetime
import email
import email.policy
import hashlib
import hmac
import ipaddress
import json
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.program import wait_until

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


SECRET = "the webhook's own secret"
USER, PASSWORD = "alerts", "mail-pass-5up3r"


def certificate(folder, name="127.0.0.1"):
    """A certificate that is its own authority, for 127.0.0.1. Answers (certificate, key)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, secret = folder / "mail.pem", folder / "mail.key"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert, secret


class MailServer:
    """SMTP on 127.0.0.1. `security`: STARTTLS, TLS or NONE. `mails`: what was taken, as (receivers, message)."""

    def __init__(self, folder, security="STARTTLS"):
        folder.mkdir(exist_ok=True)
        self.security = security
        self.port = free_port()
        self.mails = []
        self.refuse = None
        self.cert, self.key = certificate(folder)
        self.controller = None
        self.start()

    def start(self):
        server = self

        class Handler:
            async def handle_RCPT(self, smtp, session, envelope, address, options):
                if server.refuse:
                    return server.refuse
                envelope.rcpt_tos.append(address)
                return "250 OK"

            async def handle_DATA(self, smtp, session, envelope):
                message = email.message_from_bytes(envelope.content, policy=email.policy.default)
                server.mails.append((list(envelope.rcpt_tos), message, session.ssl is not None, session.authenticated))
                return "250 taken"

        def authenticate(smtp, session, envelope, mechanism, data):
            good = (data.login.decode(), data.password.decode()) == (USER, PASSWORD)
            return AuthResult(success=good)

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.cert, self.key)
        starttls = self.security == "STARTTLS"

        class Mail(Controller):
            def factory(self):
                return SMTP(
                    self.handler,
                    tls_context=context if starttls else None,
                    require_starttls=starttls,
                    authenticator=authenticate,
                    auth_required=server.security != "NONE",
                    auth_require_tls=starttls,
                )

        self.controller = Mail(
            Handler(), hostname="127.0.0.1", port=self.port, ssl_context=context if self.security == "TLS" else None
        )
        self.controller.start()

    def stop(self):
        if self.controller:
            self.controller.stop()
            self.controller = None

    def settings(self):
        login = {} if self.security == "NONE" else {"SMTP_USER": USER, "SMTP_PASS": PASSWORD}
        return login | {
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": self.port,
            "SMTP_TLS": self.security,
            "FROM_EMAIL": "backup@shop.example",
            "ALERT_CA_FILE": self.cert,
        }

    def texts(self):
        return [(to, message["Subject"], message.get_content()) for to, message, *_ in list(self.mails)]


class Web:
    """An HTTP server on 127.0.0.1. `calls`: (method, path, headers, body). `code`: what it answers."""

    def __init__(self):
        self.port = free_port()
        self.calls = []
        self.code = 200
        self.server = None
        self.start()

    def start(self):
        web = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                web.calls.append((self.command, self.path, dict(self.headers.items()), body))
                self.send_response(web.code)
                self.end_headers()

            do_GET = do_POST = serve

        ThreadingHTTPServer.allow_reuse_address = True
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook?key=in-the-url"

    def settings(self):
        return {"ALERT_WEBHOOK_URL": self.url, "ALERT_WEBHOOK_SECRET": SECRET}

    def messages(self):
        """What was posted, each with its signature checked; a message that came twice stands here twice."""
        result = []
        for method, path, headers, body in list(self.calls):
            assert (method, path) == ("POST", "/hook?key=in-the-url")
            timestamp, delivery = headers["X-Mosaajii-Timestamp"], headers["X-Mosaajii-Delivery"]
            assert abs(time.time() - int(timestamp)) < 300
            signed = f"{timestamp}.{delivery}.".encode() + body
            expected = "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
            assert hmac.compare_digest(headers["X-Mosaajii-Signature"], expected)
            result.append((delivery, json.loads(body)))
        return result

    def of_type(self, type, event="RAISED"):
        return [
            (delivery, message)
            for delivery, message in self.messages()
            if message["event"] == event and message.get("alert", {}).get("type") == type
        ]

    def wait(self, type, event="RAISED"):
        return wait_until(lambda: self.of_type(type, event), f"a webhook that says {event} {type}")[0][1]["alert"]
