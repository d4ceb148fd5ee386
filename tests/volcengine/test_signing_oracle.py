"""The signature against the vendor's own signer, for whatever keys, ids and times there may be."""

import warnings
from datetime import UTC, datetime

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st
from volcenginesdkcore.signv4 import SignerV4

from exporter.model.credentials import Credentials
from exporter.volcengine.signing import canonical_query, signed_headers

pytestmark = pytest.mark.slow

PRINTABLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
KEYS = st.text(PRINTABLE, min_size=1, max_size=64)
TOKENS = st.one_of(st.just(""), st.text(PRINTABLE, min_size=1, max_size=600))
REGIONS = st.one_of(
    st.sampled_from(["cn-north-1", "ap-southeast-1", "ap-singapore-1"]),
    st.from_regex(r"[a-z]{2}-[a-z]{4,9}-[0-9]", fullmatch=True),
)
# The oracle leaves :80 and :443 out of the signed host, as no client sends a scheme's own port.
HOSTS = st.sampled_from(["rtc.volcengineapi.com", "open-ap-singapore-1.volcengineapi.com", "127.0.0.1:18080"])
LEGAL_IDS = st.from_regex(r"[a-zA-Z0-9_@\-.]{1,128}", fullmatch=True)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
TIMES = st.datetimes(datetime(2001, 1, 1), datetime(2200, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001 - hypothesis wants naive bounds
QUERIES = st.fixed_dictionaries(
    {
        "Action": st.just("GetWebCastTask"),
        "Version": st.sampled_from(["2020-12-01", "2023-11-01"]),
        "AppId": LEGAL_IDS,
        "RoomId": st.one_of(LEGAL_IDS, ANY_TEXT),
        "TaskId": st.one_of(LEGAL_IDS, ANY_TEXT),
    }
)


def oracle(credentials: Credentials, region: str, host: str, params: dict[str, str], at: datetime) -> dict[str, str]:
    """The headers of the official signer; it takes the time from the clock and signs Host only when so spelled."""
    headers = {"Host": host}
    with time_machine.travel(at, tick=False), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it calls utcnow(), deprecated from 3.12 on
        SignerV4.sign(
            "/",
            "GET",
            headers,
            "",
            None,
            params,
            credentials.access_key,
            credentials.secret_key,
            region,
            "rtc",
            credentials.session_token,
        )
    return headers


@settings(deadline=None, max_examples=300)
@given(st.builds(Credentials, KEYS, KEYS, TOKENS), REGIONS, HOSTS, QUERIES, TIMES)
def test_every_header_equals_the_official_signers(
    credentials: Credentials, region: str, host: str, params: dict[str, str], at: datetime
) -> None:
    """Same key, region, host, query and second: the same headers, the token's among them, to the byte."""
    expected = oracle(credentials, region, host, params, at)
    assert expected == signed_headers(credentials, region, host, canonical_query(params), at.timestamp())


@settings(deadline=None)
@given(st.dictionaries(st.from_regex(r"[A-Za-z0-9_]{1,20}", fullmatch=True), ANY_TEXT, max_size=6))
def test_every_query_equals_the_official_signers(params: dict[str, str]) -> None:
    """Names are sorted, and any value is encoded, as the official signer does it."""
    assert SignerV4.canonical_query(params) == canonical_query(params)
