"""The S3 driver against a server that checks every signature."""

import pytest

from support.stores import S3, contract, running


@pytest.fixture(scope="module")
def s3():
    with running(S3) as server:
        yield server


@pytest.mark.parametrize("bucket", S3.BUCKETS)
def test_contract(s3, bucket):
    # The gateway has one storage class.
    contract(s3.settings(bucket), MOS_TEST_NO_ARCHIVE=1, MOS_TEST_NO_LOCKS=None if bucket == "locked" else 1)
