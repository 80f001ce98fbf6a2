"""Metrics as Prometheus' own tool reads them, the rules and the dashboard that use them, status and analytics."""

import http.client
import json
import re
import shutil
import subprocess
from datetime import datetime, timedelta, timezone

import pytest

from support.api import pb, refused
from support.data import make_files
from support.program import BIN, ROOT, environment, wait_until

OBSERVABILITY = ROOT / "deploy/observability"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed")


@pytest.fixture(scope="module")
def server(start_shared, tmp_path_factory):
    source = make_files(tmp_path_factory.mktemp("source") / "data", 20, 5000, compressible=True)
    server = start_shared(BACKUP_FILES_PATHS=source, MOSAAJII_METRICS_LISTEN="127.0.0.1:0", MONITOR_RPO_MINUTES=60)
    client = server.client()
    client.backup("FILES")
    client.backup("FILES")
    return server


def request(server, method="GET", path="/metrics", body=None):
    port = int(re.search(r"port=(\d+)", server.wait_for_log(r"metrics served")).group(1))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body)
    response = connection.getresponse()
    return response.status, response.read().decode(), response.headers


def scrape(server):
    status, text, headers = request(server)
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return text


def value(text, name, **labels):
    """The only sample of the name with these labels."""
    found = []
    for line in text.splitlines():
        match = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
        if match:
            has = dict(re.findall(r'(\w+)="([^"]*)"', match.group(1) or ""))
            if all(has.get(label) == word for label, word in labels.items()):
                found.append(float(match.group(2)))
    assert len(found) == 1, (name, labels, found)
    return found[0]


@needs_promtool
def test_promtool_accepts_the_metrics(server):
    result = subprocess.run([PROMTOOL, "check", "metrics"], input=scrape(server), capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and not result.stdout.strip() and not result.stderr.strip(), result


@needs_promtool
def test_promtool_accepts_the_rules():
    for arguments in (["check", "rules", "alerts.yml"], ["check", "config", "prometheus.yml"]):
        result = subprocess.run([PROMTOOL, *arguments], cwd=OBSERVABILITY, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result


@needs_promtool
def test_the_rules_fire(tmp_path):
    """What each rule is for, as series: promtool's own test of rules."""
    series = {
        "MosaajiiDown": ['up{job="mosaajii", instance="a"}', "0x30"],
        "MosaajiiCriticalAlert": ['mosaajii_alerts_open{severity="CRITICAL", instance="a"}', "1x30"],
        "MosaajiiQueueStuck": ['mosaajii_queue_oldest_waiting_seconds{instance="a"}', "30000x30"],
    }
    tests = []
    for name, (metric, values) in series.items():
        inputs = [{"series": metric, "values": values}]
        if name != "MosaajiiDown":
            inputs.append({"series": 'up{job="mosaajii", instance="a"}', "values": "1x30"})
        tests.append({"interval": "1m", "input_series": inputs, "promql_expr_test": [
            {"expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}})', "eval_time": "20m", "exp_samples": [{"labels": "{}", "value": 1}]},
            {"expr": 'count(ALERTS{alertstate="firing"})', "eval_time": "20m", "exp_samples": [{"labels": "{}", "value": 1}]},
        ]})  # fmt: skip
    path = tmp_path / "tests.yml"
    path.write_text(json.dumps({"rule_files": [str(OBSERVABILITY / "alerts.yml")], "tests": tests}))
    result = subprocess.run([PROMTOOL, "test", "rules", path], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result


def test_all_that_rules_and_dashboard_ask_for_is_there(server):
    names = set(re.findall(r"^# TYPE (\S+)", scrape(server), re.MULTILINE))
    used = (OBSERVABILITY / "alerts.yml").read_text() + (OBSERVABILITY / "grafana-dashboard.json").read_text()
    asked = {re.sub(r"_bucket$", "", name) for name in re.findall(r"\bmosaajii_\w+", used)}
    assert asked and asked <= names, asked - names
    dashboard = json.loads((OBSERVABILITY / "grafana-dashboard.json").read_text())
    assert len(dashboard["panels"]) >= 10


def test_the_metrics_say_what_happened(server):
    text = scrape(server)
    assert value(text, "mosaajii_jobs_total", kind="BACKUP", status="SUCCEEDED") == 2
    assert value(text, "mosaajii_jobs_total", kind="VERIFY", status="SUCCEEDED") == 2
    assert value(text, "mosaajii_backups", type="FILES", status="VERIFIED") == 2
    assert value(text, "mosaajii_backups_bytes", type="FILES", status="VERIFIED") == 200_000
    assert value(text, "mosaajii_job_duration_seconds_total", kind="BACKUP", status="SUCCEEDED") > 0
    assert value(text, "mosaajii_jobs_running") == value(text, "mosaajii_jobs_waiting") == 0
    newest = server.client().list()[0].created_at.ToNanoseconds() / 1e9
    assert abs(value(text, "mosaajii_newest_good_backup_timestamp_seconds", source="FILES") - newest) < 1
    assert value(text, "mosaajii_recovery_point_objective_seconds", source="FILES") == 3600
    assert value(text, "mosaajii_repository_bytes") > 1000
    assert 0 < value(text, "mosaajii_repository_free_bytes") < value(text, "mosaajii_repository_capacity_bytes")
    assert value(text, "mosaajii_alerts_open", severity="CRITICAL") == 0
    assert value(text, "mosaajii_catalog_bytes") > 0
    method = "/mosaajii.backup.v1.BackupService/CreateBackup"
    assert value(text, "mosaajii_rpc_calls_total", method=method, code="OK") == 2
    assert value(text, "mosaajii_rpc_duration_seconds_count", method=method) == 2
    assert value(text, "mosaajii_rpc_duration_seconds_bucket", method=method, le="+Inf") == 2
    # A refusal counts too, and what a caller made up becomes no name.
    stranger = server.client("nobody's token")
    assert refused(stranger.call, stranger.backups.GetBackup, pb.GetBackupRequest(backup_id="x"))[0] == "UNAUTHENTICATED"
    unknown = stranger.channel.unary_unary("/made.up/Method-4711")
    assert refused(unknown, b"")[0] in ("UNIMPLEMENTED", "UNAUTHENTICATED")
    text = scrape(server)
    assert value(text, "mosaajii_rpc_calls_total", method="/mosaajii.backup.v1.BackupService/GetBackup", code="UNAUTHENTICATED") >= 1
    assert "4711" not in text and 'method="unknown"' in text


def test_nothing_else_is_served(server):
    assert request(server, path="/")[0] == 404
    assert request(server, path="/metrics/../etc")[0] == 404
    assert request(server, "POST", body=b"x" * 100_000)[0] == 405
    assert request(server, "DELETE")[0] == 405
    assert request(server)[0] == 200


def test_no_other_address_than_loopback(tmp_path):
    settings = {"MOSAAJII_HOME": tmp_path / "home", "MOSAAJII_LISTEN": "127.0.0.1:0"}
    result = subprocess.run(
        [BIN / "mosaajii-server"], env=environment(**settings, MOSAAJII_METRICS_LISTEN="0.0.0.0:0"), capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 2 and "MOSAAJII_METRICS_LISTEN" in result.stderr and "loopback" in result.stderr


def test_status(server):
    client = server.client()
    wait_until(lambda: server.cli_json("status")["sources"], "sources in the status")
    status = server.cli_json("status")
    assert status["backups"] == 2 and status["repositoryBytes"] > 1000 and status["freeBytes"] > 0
    (source,) = status["sources"]
    assert source["type"] == "FILES" and source["health"] == "PROTECTED" and source["recoveryPointObjective"] == 60
    assert source["newestGoodBackupId"] == client.list()[0].id
    assert status["openAlerts"] == len([row for row in server.cli_json("alert", "list") if not row["resolvedAt"]])


def test_analytics(server):
    client = server.client()
    whole = server.cli_json("analytics")
    rows = client.list()
    assert (whole["backups"], whole["succeeded"], whole["failed"], whole["successRate"]) == (2, 2, 0, 100)
    assert whole["bytesProtected"] == sum(row.size for row in rows) == 200_000
    # The second one found everything in the repository already.
    assert 1.5 < whole["dedupRatio"] and 1.5 < whole["compressionRatio"]
    assert 0 < whole["bytesStored"] < 100_000
    assert whole["averageDurationSeconds"] > 0
    days = [point for point in whole["points"] if point["backups"]]
    assert sum(point["backups"] for point in days) == 2 and 30 <= len(whole["points"]) <= 31
    assert sum(point["bytesProtected"] for point in days) == 200_000
    (source,) = whole["sources"]
    assert source["backups"] == 2 and source["successRate"] == 100 and source["newestGoodBackupAt"]
    assert server.cli_json("analytics", "--type", "DATABASE")["backups"] == 0
    assert "100.0%" in server.cli("analytics", "--days", "7").stdout
    now = datetime.now(timezone.utc)
    bad = pb.GetAnalyticsRequest()
    getattr(bad, "from").FromDatetime(now)
    bad.to.FromDatetime(now - timedelta(days=1))
    code, _, fields = refused(client.call, client.backups.GetAnalytics, bad)
    assert code == "INVALID_ARGUMENT" and fields == ["from"]
    server.cli("analytics", "--days", "0", check=2)
