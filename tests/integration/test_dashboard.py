"""The dashboard in a real browser, against a real server: what a shop's owner does with it, from signing in to a restored file."""

import sqlite3

import pytest

from support.browser import CHROMIUM
from support.program import BIN

pytestmark = [
    pytest.mark.skipif(not (BIN / "mosaajii-gateway").exists(), reason="the gateway is not built"),
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed"),
]

expect = pytest.importorskip("playwright.sync_api").expect

from support.dashboard import browsers, shop, visit  # noqa: E402, F401


def test_signing_in_and_out(shop, visit):
    visitor = visit().open()
    visitor.heading("Sign in")
    visitor.accessible()
    visitor.page.get_by_label("Access token").fill("mos_" + "x" * 43)
    visitor.press("Sign in")
    visitor.see("This token is not valid")
    visitor.page.get_by_label("Access token").fill(shop.server.token)
    visitor.press("Sign in")
    visitor.heading("Overview")
    kept = visitor.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
    assert kept == f'[{{}},{{}},"","http://{shop.gateway.address}/"]', "scripts can get at nothing of the session"
    assert shop.server.token not in visitor.page.content()
    visitor.page.reload()
    visitor.heading("Overview")
    visitor.press("Sign out")
    visitor.heading("Sign in")
    visitor.page.reload()
    visitor.heading("Sign in")
    visitor.check(refused=1)


def test_a_revoked_token_ends_the_session(shop, visit):
    made = shop.rest.post("/api/tokens", {"name": "short", "role": "VIEWER"}).data(201)
    visitor = visit().sign_in(made["secret"])
    shop.rest.post(f"/api/tokens/{made['token']['id']}/revoke").data()
    visitor.go("keys", "Sign in")


def test_back_up_watch_browse_restore_and_delete(shop, visit, tmp_path):
    visitor = visit().sign_in(shop.server.token)
    visitor.see("No good backup")
    visitor.see("3 of 3 sources are not protected")
    visitor.press("Take the first backup")
    visitor.dialog.get_by_label("Name").fill("before the upgrade")
    visitor.dialog.get_by_label("Tags").fill("nightly, upgrade")
    visitor.press("Back up", visitor.dialog)
    # Watched to its end without a reload.
    visitor.heading("before the upgrade")
    visitor.page.evaluate("window.here = true")
    expect(visitor.page.locator(".page-head").get_by_text("Verified")).to_be_visible()
    assert visitor.page.evaluate("window.here") is True
    backup = shop.rest.get("/api/backups").data()[0]
    assert (backup["name"], backup["type"], backup["tags"]) == ("before the upgrade", "FULL", ["nightly", "upgrade"])
    visitor.see("sales")

    # Down to a file, and its content.
    files = visitor.page.get_by_role("region", name="Files")
    for part in str(shop.uploads / "part-3").strip("/").split("/"):
        files.locator("table").get_by_role("button", name=part, exact=False).first.click()
    original = shop.uploads / "part-3/file-00003.dat"
    download = files.get_by_role("button", name="Download file-00003.dat")
    with visitor.page.expect_download() as downloaded:
        download.click()
    assert downloaded.value.path().read_bytes() == original.read_bytes()

    visitor.press("Verify")
    visitor.see("The backup is whole.")

    # First what would be written, then the restore.
    target = shop.server.restore_root / "tuesday"
    visitor.press("Restore")
    visitor.dialog.get_by_label("Where to").fill(str(target))
    visitor.dialog.get_by_label("Only these paths").fill(str(shop.uploads / "part-3"))
    visitor.press("Preview", visitor.dialog)
    visitor.see("would be written to", visitor.dialog)
    assert not target.exists(), "a preview writes nothing"
    visitor.press("Restore now", visitor.dialog)
    visitor.heading("Restore")
    visitor.see("entries restored")
    restored = target / str(original).lstrip("/")
    assert restored.read_bytes() == original.read_bytes()
    assert {path.parent.name for path in target.rglob("*.dat")} == {"part-3"}
    # A second time something is there already, which the form asks about.
    visitor.page.get_by_role("link", name="The backup").click()
    visitor.press("Restore")
    visitor.dialog.get_by_label("Where to").fill("/etc/elsewhere")
    visitor.press("Preview", visitor.dialog)
    visitor.see("MOSAAJII_RESTORE_ROOTS", visitor.dialog.get_by_role("alert"))
    visitor.page.keyboard.press("Escape")

    # Deleting asks, and can be left.
    visitor.press("Delete")
    visitor.press("Keep as it is", visitor.dialog)
    assert shop.rest.get(f"/api/backups/{backup['id']}").data()
    visitor.press("Delete")
    visitor.press("Delete for good", visitor.dialog)
    visitor.heading("Backups")
    visitor.see("Nothing has been backed up yet.")
    assert shop.rest.get("/api/backups").data() == []
    visitor.check(refused=1)


def test_damage_is_shown(shop, visit):
    backup = shop.server.client().backup("FILES")
    pack = max(shop.server.repository.glob("packs/**/*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)
    visitor = visit().sign_in(shop.server.token)
    visitor.go(f"backups/{backup.id}", "Files")
    visitor.press("Verify")
    visitor.see("The backup is damaged")
    visitor.page.get_by_text("Damaged files").click()
    visitor.see(".dat")
    expect(visitor.page.locator(".page-head").get_by_text("Damaged")).to_be_visible()
    visitor.accessible()
    visitor.check()


def test_those_who_may_not_are_not_offered_it(shop, visit):
    backup = shop.server.client().backup("CONFIGURATION")
    for role, may, may_not in (
        ("VIEWER", [], ["Verify", "Restore", "Delete", "Hold"]),
        ("OPERATOR", ["Verify", "Restore", "Hold"], ["Delete"]),
        ("ADMIN", ["Verify", "Restore", "Hold", "Delete"], []),
    ):
        visitor = visit().sign_in(shop.token(role))
        main = visitor.page.get_by_role("navigation", name="Main")
        expect(main.get_by_role("link", name="Audit")).to_have_count(int(role == "ADMIN"))
        visitor.go(f"backups/{backup.id}", "Configuration")
        visitor.see("Keeping")
        for name in may:
            expect(visitor.page.get_by_role("button", name=name, exact=True)).to_be_visible()
        for name in may_not:
            expect(visitor.page.get_by_role("button", name=name, exact=True)).to_have_count(0)
        visitor.go("keys", "Keys")
        expect(visitor.page.get_by_role("button", name="Rotate")).to_have_count(int(role == "ADMIN"))
        visitor.go("audit", "Audit")
        visitor.see("BackupService" if role == "ADMIN" else "Your token does not allow this.")
        visitor.check(refused=0 if role == "ADMIN" else 1)


def test_the_page_outlives_its_server(shop, visit):
    visitor = visit().sign_in(shop.server.token)
    visitor.go("backups", "Backups")
    visitor.see("Nothing has been backed up yet.")
    shop.server.kill()
    visitor.page.reload()
    visitor.see("cannot be reached")
    shop.server.start()
    # It tries again by itself.
    visitor.heading("Backups")
    backup = shop.server.client().backup("CONFIGURATION")
    # The list asks again by itself.
    expect(visitor.page.get_by_role("link", name="Configuration of")).to_have_attribute("href", f"#/backups/{backup.id}")


def test_ten_thousand_backups_come_in_pages(shop, visit):
    record = shop.server.client().backup("CONFIGURATION", tags=["first"])
    shop.server.stop()
    with sqlite3.connect(shop.server.home / "catalog.db") as catalog:
        columns = [row[1] for row in catalog.execute("PRAGMA table_info(backups)")]
        row = dict(zip(columns, catalog.execute("SELECT * FROM backups WHERE id = ?", [record.id]).fetchone(), strict=True))
        for number in range(10_000):
            other = row | {"id": f"01900000-0000-7000-8000-{number:012x}", "name": f"backup {number:05}"}
            other["created_at_ns"] = row["created_at_ns"] - (10_000 - number) * 10**9
            catalog.execute(f"INSERT INTO backups VALUES ({','.join('?' * len(columns))})", [other[column] for column in columns])
    catalog.close()
    shop.server.settings["MOSAAJII_LISTEN"] = shop.server.address
    shop.server.start()
    visitor = visit().sign_in(shop.server.token)
    visitor.see("All 10,001")
    visitor.go("backups", "Backups")
    rows = visitor.page.locator("tbody tr")
    expect(rows).to_have_count(50)
    visitor.see("backup 09999")
    visitor.press("Older")
    visitor.see("backup 09920")
    expect(rows).to_have_count(50)
    expect(visitor.page.get_by_text("backup 09999")).to_have_count(0)
    visitor.accessible()
    visitor.press("Newer")
    visitor.see("backup 09999")
    # A filter is the server's to apply, over all pages.
    visitor.page.get_by_label("Tags").fill("first")
    expect(rows).to_have_count(1)
    visitor.page.reload()
    expect(rows).to_have_count(1)
    visitor.page.get_by_label("State").select_option("FAILED")
    visitor.see("No backup is like this.")
    visitor.press("All")
    expect(rows).to_have_count(50)
    visitor.check()


PLACES = [
    ("overview", "Overview"), ("backups", "Backups"), ("schedules", "Schedules"), ("alerts", "Alerts"), ("offsite", "Offsite"),
    ("recovery", "Recovery"), ("keys", "Keys"), ("audit", "Audit"),
]  # fmt: skip


@pytest.mark.parametrize(
    "options", [{}, {"scheme": "dark"}, {"width": 390, "height": 844}, {"width": 390, "height": 844, "scheme": "dark"}], ids=str
)
def test_every_page_is_accessible(shop, visit, options):
    backup = shop.server.client().backup("FULL", tags=["nightly"])
    visitor = visit(**options).sign_in(shop.server.token)
    for place, heading in PLACES:
        visitor.go(place, heading)
        visitor.accessible()
        if place == "overview" and options in ({}, {"width": 390, "height": 844, "scheme": "dark"}):
            visitor.picture("phone" if options else "overview")
    visitor.go(f"backups/{backup.id}", "Full of")
    visitor.see("Owner" if "width" not in options else "shop.db")
    visitor.accessible()
    for button in ("Restore", "Delete"):
        visitor.press(button)
        visitor.accessible()
        visitor.page.keyboard.press("Escape")
        expect(visitor.page.get_by_role("button", name=button, exact=True)).to_be_focused()
    visitor.check()


def test_by_keyboard_alone(shop, visit):
    visitor = visit()
    visitor.open().heading("Sign in")
    keyboard = visitor.page.keyboard
    visitor.page.get_by_label("Access token").focus()
    keyboard.type(shop.server.token)
    keyboard.press("Enter")
    visitor.heading("Overview")
    keyboard.press("Tab")
    expect(visitor.page.get_by_role("button", name="Skip to the content")).to_be_focused()
    keyboard.press("Enter")
    keyboard.press("Tab")
    expect(visitor.page.get_by_role("button", name="Back up now")).to_be_focused()
    keyboard.press("Enter")
    expect(visitor.dialog.get_by_role("button", name="Close")).to_be_focused()
    # The focus stays in the dialog.
    for _ in range(12):
        keyboard.press("Tab")
        assert visitor.page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    visitor.dialog.get_by_label("What").select_option("CONFIGURATION")
    visitor.dialog.get_by_label("Name").focus()
    keyboard.press("Enter")
    visitor.heading("Configuration of")
    # A screen reader begins at the new page's heading.
    expect(visitor.page.get_by_role("heading", level=1)).to_be_focused()
    visitor.check()


def test_times_are_in_the_viewers_zone(shop, visit):
    backup = shop.rest.get(f"/api/backups/{shop.server.client().backup('FULL').id}").data()
    texts = set()
    for zone in ("UTC", "Asia/Karachi", "America/St_Johns"):
        visitor = visit(zone=zone).sign_in(shop.server.token)
        visitor.go("backups", "Backups")
        taken = visitor.page.locator(f"time[datetime='{backup['createdAt']}']").first
        expect(taken).to_be_visible()
        told = visitor.page.evaluate(
            "time => new Intl.DateTimeFormat('en-GB', {hour: '2-digit', minute: '2-digit'}).format(new Date(time))", backup["createdAt"]
        )
        assert told in taken.inner_text()
        texts.add(taken.inner_text())
    assert len(texts) == 3


def test_a_recovery_is_built_run_approved_and_reported(shop, visit):
    client = shop.server.client()
    client.backup("CONFIGURATION")
    client.backup("FILES")
    visitor = visit().sign_in(shop.server.token)
    visitor.go("recovery", "Recovery")
    visitor.see("There is no recovery plan yet.")
    # The proposal, with what is not wanted taken out of it.
    visitor.page.get_by_role("link", name="New plan").first.click()
    visitor.heading("New plan")
    visitor.see("This is a proposal")
    visitor.accessible()
    visitor.page.get_by_label("Name").first.fill("The till's disk is lost")
    for name in ("Restore the databases", "Compare the databases"):
        visitor.page.get_by_role("group", name=name).get_by_role("button", name="Remove").click()
    visitor.press("Save")
    visitor.heading("The till's disk is lost")
    visitor.see("The plan has never been tested.")
    visitor.accessible()
    plan = shop.rest.get("/api/disaster-recovery/plans").data()[0]
    assert [one["id"] for one in plan["steps"]] == ["restore-configuration", "restore-files", "confirm"]
    assert plan["steps"][2]["dependencies"] == ["restore-configuration", "restore-files"]

    lost = shop.uploads / "part-3/file-00003.dat"
    content = lost.read_bytes()
    lost.unlink()
    visitor.press("Run the recovery")
    visitor.dialog.get_by_label("Reason").fill("The disk of the till died this morning")
    visitor.press("Start the recovery", visitor.dialog)
    visitor.heading("The till's disk is lost: run")
    # Nobody reloads: what follows comes by itself.
    visitor.page.evaluate("window.here = true")
    visitor.see("waits for a person")
    assert lost.read_bytes() == content
    visitor.accessible()
    visitor.picture("recovery")
    visitor.press("Pause")
    visitor.press("Pause", visitor.dialog)
    expect(visitor.page.get_by_role("button", name="Resume")).to_be_visible()
    visitor.press("Resume")
    visitor.press("Resume", visitor.dialog)
    visitor.press("It is done")
    visitor.dialog.get_by_label("Note").fill("Sold a cup of tea.")
    visitor.press("Approve", visitor.dialog)
    expect(visitor.page.locator(".page-head").get_by_text("Completed")).to_be_visible()
    assert visitor.page.evaluate("window.here") is True
    visitor.see("Sold a cup of tea.")
    visitor.accessible()
    with visitor.page.expect_download() as downloaded:
        visitor.press("Report")
    report = downloaded.value.path().read_text()
    assert "The disk of the till died this morning" in report and "Sold a cup of tea." in report
    visitor.page.get_by_role("link", name="The till's disk is lost", exact=True).click()
    visitor.heading("The till's disk is lost")
    visitor.see("The disk of the till died this morning", visitor.page.get_by_role("region", name="Runs"))
    visitor.check()


def test_an_alert_appears_and_is_acknowledged(shop, visit):
    backup = shop.server.client().backup("FILES", integrity_check_enabled=False)
    visitor = visit().sign_in(shop.server.token)
    visitor.see("Nothing waits for you.")
    pack = max((path for path in shop.server.repository.glob("packs/**/*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)
    assert not shop.rest.post(f"/api/backups/{backup.id}/verify").data()["valid"]
    # By its stream, without a reload.
    main = visitor.page.get_by_role("navigation", name="Main")
    main.get_by_role("link", name="Alerts").get_by_text("not acknowledged").wait_for(state="attached")
    main.get_by_role("link", name="Alerts").click()
    visitor.heading("Alerts")
    entry = visitor.page.locator(".alerts > li").filter(has_text="Verification failed")
    expect(entry).to_have_count(1)
    visitor.accessible()
    visitor.picture("alerts")
    entry.get_by_role("button", name="Acknowledge").click()
    visitor.dialog.get_by_label("Note").fill("A new disk is on its way.")
    visitor.press("Acknowledge", visitor.dialog)
    expect(entry).to_have_count(0)
    visitor.page.get_by_label("Show").select_option("all")
    visitor.see("A new disk is on its way.", entry)
    found = [alert for alert in shop.rest.get("/api/backups/alerts").data() if alert["type"] == "VERIFICATION_FAILED"]
    assert [(alert["acknowledged"], alert["note"]) for alert in found] == [(True, "A new disk is on its way.")]
    visitor.check()


def test_a_schedule_is_made_paused_and_deleted(shop, visit):
    visitor = visit().sign_in(shop.server.token)
    visitor.go("schedules", "Schedules")
    visitor.see("Nothing is backed up by itself yet.")
    visitor.press("New schedule")
    visitor.dialog.get_by_label("Name").fill("every night")
    visitor.dialog.get_by_label("When").select_option("30 2 * * *")
    visitor.press("Make the schedule", visitor.dialog)
    card = visitor.page.get_by_role("heading", name="every night").locator("xpath=ancestor::section")
    expect(card.get_by_role("list", name="Next runs").get_by_role("listitem")).to_have_count(5)
    # Made in the viewer's zone, and shown in it.
    visitor.see("02:30", card)
    made = shop.rest.get("/api/schedules").data()[0]
    assert (made["cron"], made["timeZone"], made["paused"]) == ("30 2 * * *", "Asia/Karachi", False)
    visitor.accessible()
    visitor.press("Pause", card)
    visitor.see("Paused", card)
    assert shop.rest.get("/api/schedules").data()[0]["paused"] is True
    visitor.press("Delete every night")
    visitor.press("Delete it", visitor.dialog)
    visitor.see("Nothing is backed up by itself yet.")
    visitor.check()
