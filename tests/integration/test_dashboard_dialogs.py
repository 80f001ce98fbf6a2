"""The dashboard's other dialogs in a real browser: each does what it says, on a real server, and can be left without anything being done."""

import os

import pytest

from support.browser import CHROMIUM
from support.program import BIN
from support.receivers import MailServer

pytestmark = [
    pytest.mark.skipif(not (BIN / "mosaajii-gateway").exists(), reason="the gateway is not built"),
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed"),
]

expect = pytest.importorskip("playwright.sync_api").expect

from support.dashboard import browsers, shop, visit  # noqa: E402, F401

OFFSITE = {"OFFSITE_PROVIDER": "LOCAL_REMOTE", "OFFSITE_BUCKET": "{folder}/there", "OFFSITE_REPLICA_PROVIDER": "LOCAL_REMOTE",
           "OFFSITE_REPLICA_BUCKET": "{folder}/elsewhere"}  # fmt: skip


@pytest.mark.parametrize("shop", [OFFSITE], indirect=True, ids=["offsite"])
def test_offsite_copies(shop, visit, tmp_path):
    visitor = visit().sign_in(shop.server.token)
    visitor.go("offsite", "Offsite")
    visitor.see("No backup has been copied offsite yet.")
    visitor.see("The next backup will be, by itself.")
    backup = shop.server.client().backup("FILES", name="the uploads")
    # They come without a reload.
    row = visitor.page.get_by_role("row").filter(has_text=f"{tmp_path}/there")
    expect(row.get_by_role("link", name=backup.id[-12:])).to_be_visible()
    expect(row.get_by_text("Replicated")).to_be_visible()
    expect(row.get_by_text("Completed")).to_be_visible()
    for name in ("Primary", "Replica"):
        card = visitor.page.get_by_role("heading", name=name).locator("xpath=ancestor::section")
        expect(card.get_by_text("Healthy")).to_be_visible()
        expect(card.get_by_text("up to date")).to_be_visible()
    visitor.accessible()
    visitor.picture("offsite")
    dark = visit(scheme="dark", width=390, height=844).sign_in(shop.server.token)
    dark.go("offsite", "Offsite")
    dark.see(backup.id[-12:])
    dark.accessible()
    dark.picture("offsite-phone")
    dark.check()

    visitor.press("Verify the copy", row)
    visitor.see("The copy is whole.")
    # A byte that turned there is found there.
    pack = max((path for path in (tmp_path / "there").rglob("packs/**/*") if path.is_file()), key=lambda path: path.stat().st_size)
    whole = pack.read_bytes()
    pack.chmod(0o600)
    pack.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    visitor.press("Verify the copy", row)
    visitor.see("The copy is damaged")
    pack.write_bytes(whole)

    visitor.press("Fetch it back", row)
    visitor.heading("Fetch")
    expect(visitor.page.locator(".page-head").get_by_text("Succeeded")).to_be_visible()
    visitor.accessible()

    visitor.go("offsite", "Offsite")
    visitor.press("Delete the copy", row)
    visitor.see("The backup here stays.", visitor.dialog)
    visitor.accessible()
    visitor.press("Keep as it is", visitor.dialog)
    expect(row).to_have_count(1)
    visitor.press("Delete the copy", row)
    visitor.press("Delete the copy", visitor.dialog)
    expect(row.get_by_text("Deleted")).to_be_visible()
    assert not [path for path in (tmp_path / "there").rglob("packs/**/*") if path.is_file()]
    assert shop.rest.get(f"/api/backups/{backup.id}").data()["status"] == "VERIFIED"
    visitor.check()


def test_a_schedule_is_suggested_and_changed(shop, visit):
    made = shop.rest.post(
        "/api/schedules",
        {"name": "nightly", "cron": "30 2 * * *", "timeZone": "Asia/Karachi", "jitterSeconds": 60, "keep": {"last": 3},
         "backup": {"type": "FILES", "tags": ["night"], "retentionDays": 5}},
    ).data(201)  # fmt: skip
    visitor = visit().sign_in(shop.server.token)
    visitor.go("schedules", "Schedules")
    visitor.press("Change nightly")
    expect(visitor.dialog.get_by_label("Name")).to_have_value("nightly")
    expect(visitor.dialog.get_by_label("Keep for days")).to_have_value("5")
    visitor.accessible()
    visitor.dialog.get_by_label("When").select_option("")
    visitor.dialog.get_by_label("Cron expression").fill("61 3 * * *")
    visitor.press("Save", visitor.dialog)
    expect(visitor.dialog.get_by_role("alert")).to_contain_text("61")
    assert shop.rest.get(f"/api/schedules/{made['id']}").data()["cron"] == "30 2 * * *"
    visitor.dialog.get_by_label("Cron expression").fill("15 3 * * *")
    visitor.dialog.get_by_label("Keep for days").fill("7")
    visitor.press("Save", visitor.dialog)
    expect(visitor.dialog).to_have_count(0)
    visitor.see("15 3 * * *")
    changed = shop.rest.get(f"/api/schedules/{made['id']}").data()
    assert (changed["cron"], changed["backup"]["retentionDays"]) == ("15 3 * * *", 7)
    # What the form does not show stays.
    assert (changed["jitterSeconds"], changed["keep"]["last"], changed["backup"]["tags"]) == (60, 3, ["night"])

    visitor.press("Suggest")
    visitor.see("Suggested schedules", visitor.dialog)
    visitor.settle()
    visitor.accessible()
    visitor.dialog.get_by_role("button", name="Make it").first.click()
    expect(visitor.dialog.get_by_role("button", name="Made")).to_be_visible()
    visitor.press("Close", visitor.dialog.locator("footer"))
    assert len(shop.rest.get("/api/schedules").data()) == 2
    visitor.check(refused=1)


def test_keys_tokens_and_the_trail(shop, visit):
    shop.server.client().backup("CONFIGURATION")
    visitor = visit().sign_in(shop.server.token)
    visitor.go("keys", "Keys")
    visitor.press("Rotate")
    visitor.accessible()
    visitor.press("Keep as it is", visitor.dialog)
    assert len(shop.rest.get("/api/keys").data()) == 1
    visitor.press("Rotate")
    visitor.press("Rotate", visitor.dialog)
    visitor.heading("Rewrap")
    expect(visitor.page.locator(".page-head").get_by_text("Succeeded")).to_be_visible()
    visitor.go("keys", "Keys")
    visitor.press("Retire")
    visitor.see("is lost for good", visitor.dialog)
    visitor.press("Destroy this version", visitor.dialog)
    expect(visitor.dialog).to_have_count(0)
    assert [(key["id"], key["state"]) for key in shop.rest.get("/api/keys").data()] == [("local/2", "ACTIVE")]
    expect(visitor.page.get_by_role("button", name="Retire", exact=True)).to_have_count(0)

    visitor.press("New token")
    visitor.dialog.get_by_label("Name").fill("the shop's screen")
    visitor.dialog.get_by_label("Valid for days").fill("30")
    visitor.accessible()
    visitor.press("Make the token", visitor.dialog)
    secret = visitor.dialog.locator("code").inner_text()
    visitor.accessible()
    visitor.press("Close", visitor.dialog.locator("footer"))
    assert secret not in visitor.page.content()
    other = visit().sign_in(secret)
    visitor.press("Revoke the shop's screen")
    visitor.press("Revoke", visitor.dialog)
    visitor.see("revoked")
    other.go("backups", "Sign in")

    visitor.go("audit", "Audit")
    visitor.press("Verify the trail")
    visitor.see("The trail is whole.")
    visitor.page.get_by_label("What", exact=True).fill("AdminService.RetireKey")
    expect(visitor.page.locator("tbody tr")).to_have_count(1)
    visitor.accessible()
    visitor.page.get_by_label("Who").fill("nobody")
    visitor.see("No entry is like this.")
    visitor.check()


@pytest.mark.parametrize("shop", [{"MOSAAJII_SECOND_PERSON": "true"}], indirect=True, ids=["second person"])
def test_a_second_person_confirms(shop, visit):
    backup = shop.server.client().backup("CONFIGURATION")
    # A token that is made after an act was asked for cannot confirm it.
    before = shop.token("ADMIN")
    first = visit().sign_in(shop.server.token)
    first.go(f"backups/{backup.id}", "Configuration of")
    first.press("Delete")
    first.press("Delete for good", first.dialog)
    expect(first.dialog.get_by_role("alert")).to_contain_text("confirm")
    second = visit().sign_in(before)
    second.go("keys", "Keys")
    second.see("Waiting for a second person")
    second.accessible()
    second.press("Confirm")
    second.accessible()
    second.press("Confirm", second.dialog)
    expect(second.page.get_by_text("Waiting for a second person")).to_have_count(0)
    first.press("Delete for good", first.dialog)
    first.heading("Backups")
    assert shop.rest.get("/api/backups").data() == []
    first.check(refused=1)
    second.check()


def test_a_hold_keeps_it(shop, visit):
    visitor = visit().sign_in(shop.server.token)
    backup = shop.server.client().backup("CONFIGURATION")
    visitor.go(f"backups/{backup.id}", "Configuration of")
    visitor.press("Hold")
    visitor.see("Nobody may delete it")
    visitor.press("Delete")
    visitor.press("Delete for good", visitor.dialog)
    expect(visitor.dialog.get_by_role("alert")).to_contain_text("hold")
    visitor.press("Keep as it is", visitor.dialog)
    visitor.press("Release the hold")
    expect(visitor.page.get_by_role("button", name="Hold", exact=True)).to_be_visible()
    visitor.check(refused=1)


# So slow that it is still at work when it is stopped.
@pytest.mark.parametrize("shop", [{"MOSAAJII_ENGINE_DISK_MB": 1}], indirect=True, ids=["slow"])
def test_a_backup_that_runs_is_stopped(shop, visit):
    (shop.uploads / "film").write_bytes(os.urandom(200_000_000))
    visitor = visit().sign_in(shop.server.token)
    visitor.press("Take the first backup")
    visitor.dialog.get_by_label("What").select_option("FILES")
    visitor.press("Back up", visitor.dialog)
    visitor.see("Backing up")
    visitor.accessible()
    visitor.press("Stop")
    visitor.press("Keep as it is", visitor.dialog)
    visitor.press("Stop")
    visitor.press("Stop it", visitor.dialog)
    expect(visitor.page.locator(".page-head").get_by_text("Cancelled")).to_be_visible()
    visitor.check()


def test_delivery_of_alerts_is_tested(shop, visit, tmp_path):
    visitor = visit().sign_in(shop.server.token)
    visitor.go("alerts", "Alerts")
    visitor.press("Test delivery")
    visitor.accessible()
    visitor.press("Send", visitor.dialog)
    visitor.see("Nobody is told of alerts", visitor.dialog)
    mail = MailServer(tmp_path / "mail", "NONE")
    try:
        shop.server.settings |= mail.settings() | {"ALERT_EMAILS": "owner@shop.example"}
        shop.server.restart()
        visitor.press("Send", visitor.dialog)
        visitor.see("owner@shop.example", visitor.dialog)
        assert [to for to, *_ in mail.texts()] == [["owner@shop.example"]]
    finally:
        mail.stop()


def test_restore_over_what_is_there(shop, visit):
    backup = shop.server.client().backup("FILES")
    lost = shop.uploads / "part-3/file-00003.dat"
    content = lost.read_bytes()
    lost.write_bytes(b"overwritten by mistake")
    visitor = visit().sign_in(shop.server.token)
    visitor.go(f"backups/{backup.id}", "Files of")
    visitor.press("Restore")
    visitor.dialog.get_by_label("Restore to where it came from").check()
    visitor.dialog.get_by_label("Only these paths").fill(str(lost))
    visitor.dialog.get_by_label("What is there already").select_option("REPLACE")
    visitor.press("Preview", visitor.dialog)
    visitor.see(lost.name, visitor.dialog)
    visitor.see("writes over what is in use", visitor.dialog)
    visitor.accessible()
    assert lost.read_bytes() == b"overwritten by mistake", "a preview writes nothing"
    # What was shown is no longer what would be done.
    visitor.dialog.get_by_label("What is there already").select_option("KEEP")
    expect(visitor.dialog.get_by_role("button", name="Restore now")).to_have_count(0)
    visitor.dialog.get_by_label("What is there already").select_option("REPLACE")
    visitor.press("Preview", visitor.dialog)
    visitor.press("Restore now", visitor.dialog)
    visitor.heading("Restore")
    visitor.see("entry restored")
    assert lost.read_bytes() == content
    visitor.check()


def test_a_plan_is_tested_and_deleted(shop, visit):
    client = shop.server.client()
    for kind in ("DATABASE", "FILES", "CONFIGURATION"):
        client.backup(kind)
    plan = shop.rest.get("/api/disaster-recovery/plans/suggestion").data()
    plan = shop.rest.post("/api/disaster-recovery/plans", plan | {"name": "All of it"}).data(201)
    visitor = visit().sign_in(shop.server.token)
    visitor.go(f"recovery/{plan['id']}", "All of it")
    visitor.press("Test")
    visitor.accessible()
    visitor.dialog.get_by_role("button", name="Start the test").click()
    visitor.heading("All of it: run")
    expect(visitor.page.locator(".page-head").get_by_text("Completed")).to_be_visible()
    visitor.accessible()
    visitor.go(f"recovery/{plan['id']}", "All of it")
    expect(visitor.page.get_by_role("region", name="Tests").get_by_text("never been tested")).to_have_count(0)
    visitor.press("Delete")
    visitor.accessible()
    visitor.press("Keep as it is", visitor.dialog)
    visitor.press("Delete")
    visitor.dialog.locator("footer button[type=submit]").click()
    visitor.heading("Recovery")
    assert shop.rest.get("/api/disaster-recovery/plans").data() == []
    visitor.check()
