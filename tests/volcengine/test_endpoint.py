from collections.abc import Mapping

import pytest

from exporter.model.credentials import Credentials
from exporter.model.target import TargetId
from exporter.volcengine.endpoint import MOST_QUERIES, Endpoint, Requests
from exporter.volcengine.signing import signed_headers

NOW = 1_768_465_805.0
TARGET = TargetId("661e0000000000000000543c", "room@a.b-c_1", "Task1")
QUERY = "Action=GetWebCastTask&AppId=661e0000000000000000543c&RoomId=room%40a.b-c_1&TaskId=Task1&Version=2020-12-01"
KEY = Credentials("AKLTexample", "s3cret-key")


@pytest.mark.parametrize(
    ("url", "base", "host"),
    [
        ("https://rtc.example", "https://rtc.example/?", "rtc.example"),
        ("https://RTC.example/", "https://rtc.example/?", "rtc.example"),
        ("https://rtc.example:443", "https://rtc.example:443/?", "rtc.example"),
        ("https://rtc.example:8443", "https://rtc.example:8443/?", "rtc.example:8443"),
        ("http://127.0.0.1:80", "http://127.0.0.1:80/?", "127.0.0.1"),
        ("http://[::1]:18080", "http://[::1]:18080/?", "[::1]:18080"),
    ],
)
def test_the_host_that_is_signed_is_the_one_sent(url: str, base: str, host: str) -> None:
    """The Host header shows a port unless it is 80 or 443, as the vendor's own signers have it."""
    request = Requests(Endpoint(url=url)).signed(TARGET, KEY, NOW)
    assert base + QUERY == request.url
    assert host == request.headers["Host"]
    assert signed_headers(KEY, "cn-north-1", host, QUERY, NOW)["Authorization"] == request.headers["Authorization"]


@pytest.mark.parametrize(
    ("environment", "url", "proxies"),
    [
        ({}, "https://rtc.example", {}),
        ({"HTTPS_PROXY": "http://p:1", "HTTP_PROXY": "http://q:1"}, "https://rtc.example", {"https": "http://p:1"}),
        ({"https_proxy": "http://p:1"}, "https://rtc.example", {"https": "http://p:1"}),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".example"}, "https://rtc.example", {}),
        ({"HTTP_PROXY": "http://q:1"}, "https://rtc.example", {}),
        ({"ALL_PROXY": "http://q:1"}, "https://rtc.example", {}),
        ({"HTTP_PROXY": "http://q:1"}, "http://127.0.0.1:18080", {}),
        ({"HTTP_PROXY": "http://q:1"}, "http://localhost:18080", {}),
        ({"HTTP_PROXY": "http://q:1"}, "http://[::1]:18080", {}),
    ],
)
def test_the_environment_names_the_proxy(
    monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str], url: str, proxies: Mapping[str, str]
) -> None:
    """Without proxy_url, HTTPS_PROXY, HTTP_PROXY and NO_PROXY decide; a loopback host is never proxied."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxies == Endpoint(url=url).proxies
    assert Endpoint(url=url, proxy_url="").proxies == {}


def test_what_is_kept_of_targets_is_bounded() -> None:
    """A target's prepared query is kept until it is forgotten, and never more than MOST_QUERIES of them."""
    requests = Requests(Endpoint())
    for number in range(MOST_QUERIES + 1):
        requests._query(TargetId("app", "room", str(number)))
    assert len(requests._queries) == 1
    requests.signed(TARGET, KEY, NOW)
    requests.forget(TARGET)
    requests.forget(TARGET)
    assert TARGET not in requests._queries
