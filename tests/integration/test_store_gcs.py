"""The driver of Google Cloud Storage against an emulator, with tokens that a service account's key has signed for."""

import pytest

from support.stores import Gcs, contract, running


@pytest.fixture(scope="module")
def gcs():
    with running(Gcs) as server:
        yield server


def test_contract(gcs):
    # The emulator takes no longer lock for a locked one, which Google does.
    contract(gcs.settings(), OFFSITE_SOFT_LOCK="true")
    assert gcs.tokens_given > 0
