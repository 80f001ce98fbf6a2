import pytest

pytest.register_assert_rewrite("support.database_contract")

from support.program import Server, adopt_orphans  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def orphans_are_seen():
    adopt_orphans()


@pytest.fixture
def start(tmp_path):
    """start(**settings): a running server with a home of its own, stopped and checked at the end of the test."""
    servers = []

    def start_server(name="home", **settings):
        server = Server(tmp_path / name, **settings)
        servers.append(server)
        server.start()
        return server

    yield start_server
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory):
    """As `start`, for a server that all tests of a file share."""
    servers = []

    def start_server(**settings):
        server = Server(tmp_path_factory.mktemp("server") / "home", **settings)
        servers.append(server)
        server.start()
        return server

    yield start_server
    for server in servers:
        server.stop()
