"""The OpenAPI document as a promise: whatever is asked for, as the document says or not, every answer is one that it names."""

import itertools
import json
import re

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from support.program import BIN, CEILING, ROOT
from support.rest import Gateway

# Of each operation. All operations together take well below 90 seconds.
EXAMPLES = 6

load_all_checks()
api = schemathesis.openapi.from_path(ROOT / "docs/api/openapi.json")
asked = set()

pytestmark = pytest.mark.skipif(not (BIN / "mosaajii-gateway").exists(), reason="the gateway is not built")


@pytest.fixture(scope="module")
def pair(start_shared, tmp_path_factory):
    source = tmp_path_factory.mktemp("source") / "file"
    source.write_text("configuration")
    server = start_shared(BACKUP_CONFIG_PATHS=source)
    gateway = Gateway(server.address)
    rest = gateway.rest(server.token)
    backup = rest.wait_for_backup(rest.post("/api/backups", {"type": "CONFIGURATION"}).data(201)["id"])
    job = rest.get(f"/api/jobs?backupId={backup['id']}").data()[0]
    # Half of the requests are about what is there.
    there = {"backupId": itertools.cycle((None, backup["id"])), "jobId": itertools.cycle((None, job["id"]))}
    yield server, gateway, there
    assert server.process.poll() is None, "the server has fallen"
    gateway.stop()


@api.parametrize()
@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)  # fmt: skip
def test_no_500_and_no_answer_outside_the_document(case, pair):
    server, gateway, there = pair
    asked.add((case.method.upper(), case.path))
    for name, ids in there.items():
        found = next(ids)
        # The backup that is asked about must stay.
        if found and name in (case.path_parameters or {}) and case.method.upper() != "DELETE":
            case.path_parameters[name] = found
    request = case.as_transport_kwargs(base_url=f"http://{gateway.address}", headers={"Authorization": f"Bearer {server.token}"})
    with requests.request(**request, stream=True, timeout=CEILING, allow_redirects=False) as response:
        assert response.status_code != 500 and (response.status_code < 500 or response.status_code == 501), response.text
        if endless(case, response):
            assert response.headers["Content-Type"] in ("application/x-ndjson", "text/event-stream")
            return
        if response.headers.get("Content-Type") == "application/x-ndjson":
            # The schema is that of one line.
            first, *_ = (response.text + "\n").split("\n")
            response._content = first.encode() or b"null"
        checks = [status_code_conformance, content_type_conformance]
        if response.status_code != 200 or response.content != b"null":
            checks.append(response_schema_conformance)
        case.validate_response(response, checks=checks)
        if response.headers.get("Content-Type") == "application/json" and case.path != "/api/openapi.json":
            assert json.loads(response.content)["success"] is (response.status_code < 300)


def endless(case, response):
    return response.status_code == 200 and re.search(r"/watch$", case.path) and "alerts" in case.path


def test_every_operation_was_asked():
    wanted = {(method.upper(), path) for path, methods in api.raw_schema["paths"].items() for method in methods}
    assert asked >= wanted
