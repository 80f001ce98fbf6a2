"""The dashboard in a browser: what every page must keep to is watched all the time."""

import os
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from support.browser import CHROMIUM
from support.data import make_files
from support.program import CEILING, ROOT
from support.rest import Gateway

AXE = ROOT / "gateway/web/node_modules/axe-core/axe.min.js"
# Where pictures for the documentation go; without it none are taken.
PICTURES = os.environ.get("MOS_TEST_PICTURES")

expect.set_options(timeout=CEILING * 1000)


class Visitor:
    """Somebody at a browser of his own. Notes every request, error and message; `check` says whether all was as it should be."""

    def __init__(self, chromium, address, width=1280, height=860, scheme="light", zone="Asia/Karachi"):
        self.address = address
        self.context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            locale="en-GB",
            timezone_id=zone,
            reduced_motion="reduce",
            accept_downloads=True,
        )
        self.context.set_default_timeout(CEILING * 1000)
        self.strangers, self.faults, self.refused = [], [], []
        # What a page itself made lies in the browser.
        self.context.route(lambda url: urlsplit(url).scheme not in ("blob", "data") and urlsplit(url).netloc != address, self._stop)
        self.page = self.context.new_page()
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("response", self._answered)

    def _stop(self, route):
        self.strangers.append(route.request.url)
        route.abort()

    def _note(self, message):
        if message.type in ("error", "warning"):
            self.faults.append(message.text)

    def _answered(self, response):
        if response.status >= 400:
            self.refused.append((response.status, response.url))

    def open(self, place=""):
        self.page.goto(f"http://{self.address}/{place}")
        return self

    def sign_in(self, token):
        self.open()
        self.page.get_by_label("Access token").fill(token)
        self.page.get_by_role("button", name="Sign in").click()
        self.heading("Overview")
        return self

    def go(self, place, heading):
        self.page.goto(f"http://{self.address}/#/{place}")
        self.heading(heading)

    def heading(self, text):
        expect(self.page.get_by_role("heading", level=1, name=text)).to_be_visible()

    def press(self, name, inside=None):
        (inside or self.page).get_by_role("button", name=name, exact=True).click()

    @property
    def dialog(self):
        return self.page.get_by_role("dialog")

    def see(self, text, inside=None):
        expect((inside or self.page).get_by_text(text).first).to_be_visible()

    def settle(self):
        """Until nothing is loading any more."""
        expect(self.page.locator(".loading")).to_have_count(0)

    def accessible(self):
        """What axe finds that is serious, and whether the page is wider than its window."""
        self.settle()
        if not self.page.evaluate("'axe' in window"):
            # Evaluated by the debugger: the page's own policy lets no such script in.
            self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        serious = [
            (rule["id"], rule["help"], [node["html"][:200] for node in rule["nodes"]])
            for rule in found["violations"]
            if rule["impact"] in ("serious", "critical")
        ]
        assert not serious, (self.page.url, serious)
        assert found["passes"], "axe looked at nothing"
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{self.page.url} is {wide} pixels wider than its window"

    def picture(self, name):
        self.settle()
        if PICTURES:
            self.page.evaluate("document.fonts.ready")
            self.page.screenshot(path=Path(PICTURES) / f"{name}.png")

    def check(self, refused=0):
        """That nothing went elsewhere and nothing failed, but for so many calls that the server was to refuse."""
        assert not self.strangers, self.strangers
        others = [fault for fault in self.faults if not fault.startswith("Failed to load resource")]
        assert not others, others
        assert len(self.refused) == refused, self.refused
        assert len(self.faults) <= refused, self.faults

    def close(self):
        self.context.close()


class Browsers:
    """Debian's own Chromium, by Playwright."""

    def __enter__(self):
        self._playwright = sync_playwright().start()
        self._chromium = self._playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]
        )
        return self

    def visitor(self, address, **options):
        return Visitor(self._chromium, address, **options)

    def __exit__(self, *_):
        self._chromium.close()
        self._playwright.stop()


class Shop:
    """A server with sources as a shop has them, and its gateway."""

    def __init__(self, start, folder, **settings):
        self.uploads = make_files(folder / "shop/uploads", 60, 4000)
        self.config = make_files(folder / "shop/etc", 8, 300, seed=2)
        self.database = folder / "shop/shop.db"
        with sqlite3.connect(self.database) as connection:
            connection.execute("CREATE TABLE sales (id INTEGER PRIMARY KEY, item TEXT)")
            connection.executemany("INSERT INTO sales (item) VALUES (?)", [("tea",)] * 500)
        connection.close()
        self.server = start(
            BACKUP_FILES_PATHS=self.uploads, BACKUP_CONFIG_PATHS=self.config, DATABASE_URL=f"sqlite://{self.database}", **settings
        )
        self.server.settings["MOSAAJII_LISTEN"] = self.server.address
        self.gateway = Gateway(self.server.address)
        self.rest = self.gateway.rest(self.server.token)

    def token(self, role):
        return self.rest.post("/api/tokens", {"name": f"a {role.lower()}", "role": role}).data(201)["secret"]


@pytest.fixture(scope="module")
def browsers():
    with Browsers() as browsers:
        yield browsers


@pytest.fixture
def shop(start, tmp_path, request):
    """With the settings that a test marks with parametrize("shop", [{…}], indirect=True)."""
    settings = {name: str(value).format(folder=tmp_path) for name, value in getattr(request, "param", {}).items()}
    for name, value in settings.items():
        if name.endswith("_BUCKET"):
            Path(value).mkdir()
    shop = Shop(start, tmp_path, **settings)
    yield shop
    shop.gateway.stop()


@pytest.fixture
def visit(browsers, shop):
    """visit(**options): a visitor, closed at the end of the test."""
    visitors = []

    def visit(**options):
        visitors.append(browsers.visitor(shop.gateway.address, **options))
        return visitors[-1]

    yield visit
    for visitor in visitors:
        visitor.close()
