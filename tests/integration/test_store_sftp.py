"""The SFTP driver against OpenSSH."""

import pytest

from support.stores import Sftp, contract, running


@pytest.fixture(scope="module")
def sftp():
    with running(Sftp) as server:
        yield server


def test_contract(sftp):
    contract(sftp.settings())
