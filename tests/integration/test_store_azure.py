"""The driver of Azure Blob against Azurite, with a shared key and with a shared access signature."""

import pytest

from support.stores import Azure, contract, running


@pytest.fixture(scope="module")
def azure():
    with running(Azure) as server:
        yield server


def test_contract(azure):
    # Parts so small that the large object goes in blocks.
    contract(azure.settings(), MOS_TEST_NO_LOCKS=1, OFFSITE_PART_MIB=1)


def test_contract_with_a_shared_access_signature(azure):
    contract(azure.settings() | {"AZURE_STORAGE_KEY": None, "AZURE_STORAGE_SAS_TOKEN": azure.sas()}, MOS_TEST_NO_LOCKS=1)
