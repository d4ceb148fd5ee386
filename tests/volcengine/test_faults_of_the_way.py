import errno
import http.client
import socket
import ssl

import pytest
import requests
from requests import exceptions as of_requests
from urllib3 import exceptions as of_urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from exporter.errors import NotJson, ReadError, TimedOut, TlsFailed, Unreachable
from exporter.volcengine.error_mapping import error_of_exception

SECRET_URL = "http://user:pa55word@proxy.example:3128/?Action=GetWebCastTask&TaskId=s3cret"
POOL = HTTPConnectionPool("rtc.example")
CONNECTION = HTTPConnection("rtc.example")


def wrapped(reason: Exception) -> of_requests.ConnectionError:
    """As requests wraps what urllib3 gave up on: its text holds the URL."""
    return of_requests.ConnectionError(of_urllib3.MaxRetryError(POOL, SECRET_URL, reason))


def caused(error: Exception, cause: BaseException) -> Exception:
    """As `raise error from cause` leaves it."""
    error.__cause__ = cause
    return error


def not_connected(cause: OSError) -> Exception:
    """urllib3's error for a connection that was not made; it is also a ConnectTimeoutError."""
    return caused(of_urllib3.NewConnectionError(CONNECTION, SECRET_URL), cause)


def tunnel(status: int) -> Exception:
    """What a proxy's refusal of CONNECT becomes."""
    cause = OSError(f"Tunnel connection failed: {status} s3cret")
    return of_requests.ProxyError(of_urllib3.MaxRetryError(POOL, SECRET_URL, of_urllib3.ProxyError(SECRET_URL, cause)))


def untrusted() -> ssl.SSLCertVerificationError:
    """A refused certificate as OpenSSL words it."""
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED]")
    error.verify_message = "certificate has expired"
    return error


def broken_tls() -> ssl.SSLError:
    """A TLS alert as OpenSSL words it."""
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]")
    error.reason = "WRONG_VERSION_NUMBER"
    return error


RESET = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
INCOMPLETE = of_urllib3.ProtocolError("Connection broken", of_urllib3.IncompleteRead(3, 5))
UNKNOWN_NAME = caused(
    of_urllib3.NameResolutionError("rtc.example", CONNECTION, socket.gaierror(-2, "s3cret")), socket.gaierror(-2, "?")
)
EXCEPTIONS: list[tuple[Exception, type[ReadError], str]] = [
    (of_requests.ReadTimeout(SECRET_URL), TimedOut, "no whole answer within the timeout"),
    (of_requests.ConnectTimeout(SECRET_URL), TimedOut, "no connection within the timeout"),
    (wrapped(of_urllib3.ConnectTimeoutError(CONNECTION, SECRET_URL)), TimedOut, "no connection within the timeout"),
    (wrapped(of_urllib3.ReadTimeoutError(POOL, SECRET_URL, "?")), TimedOut, "no whole answer within the timeout"),
    (TimeoutError("timed out"), TimedOut, "no whole answer within the timeout"),
    (
        of_requests.SSLError(of_urllib3.SSLError(untrusted())),
        TlsFailed,
        "the certificate is not trusted: certificate has expired",
    ),
    (wrapped(of_urllib3.SSLError(broken_tls())), TlsFailed, "no TLS connection (WRONG_VERSION_NUMBER)"),
    (of_requests.SSLError(SECRET_URL), TlsFailed, "no TLS connection"),
    (
        OSError("Could not find a suitable TLS CA certificate bundle, invalid path: /x"),
        TlsFailed,
        "the CA file cannot be read",
    ),
    (tunnel(407), Unreachable, "the proxy does not accept its user or password"),
    (tunnel(502), Unreachable, "the proxy refused"),
    (
        of_requests.ProxyError(
            of_urllib3.MaxRetryError(POOL, SECRET_URL, of_urllib3.ProxyError("?", not_connected(REFUSED)))
        ),
        Unreachable,
        "the proxy cannot be reached: connection refused",
    ),
    (of_requests.ProxyError(SECRET_URL), Unreachable, "the proxy cannot be reached"),
    (wrapped(not_connected(REFUSED)), Unreachable, "connection refused"),
    (wrapped(UNKNOWN_NAME), Unreachable, "the host name does not resolve"),
    (wrapped(not_connected(OSError(errno.EHOSTUNREACH, "?"))), Unreachable, "no route to the host"),
    (wrapped(not_connected(OSError(errno.ENETUNREACH, "?"))), Unreachable, "the network is unreachable"),
    (wrapped(not_connected(OSError(errno.EMFILE, "?"))), Unreachable, "too many open files in this process"),
    (of_requests.ConnectionError(of_urllib3.ProtocolError("aborted", RESET)), Unreachable, "the connection was reset"),
    (
        of_requests.ConnectionError(of_urllib3.ProtocolError("aborted", http.client.RemoteDisconnected("?"))),
        Unreachable,
        "the connection was closed before an answer",
    ),
    (of_requests.ChunkedEncodingError(INCOMPLETE), Unreachable, "the answer stopped half way"),
    (
        of_requests.ConnectionError(of_urllib3.ProtocolError("aborted", http.client.BadStatusLine("s3cret"))),
        Unreachable,
        "the answer is no HTTP",
    ),
    (of_requests.ContentDecodingError(of_urllib3.DecodeError("?")), NotJson, "the answer cannot be decompressed"),
    (of_requests.InvalidProxyURL(SECRET_URL), Unreachable, "the proxy's URL cannot be used"),
    (of_requests.InvalidURL(SECRET_URL), Unreachable, "the endpoint's URL cannot be used"),
    (requests.RequestException(SECRET_URL), Unreachable, "the call failed"),
    (ValueError("Invalid header value b's3cret'"), Unreachable, "the call failed"),
]


@pytest.mark.parametrize(("error", "kind", "sentence"), EXCEPTIONS, ids=[row[2] for row in EXCEPTIONS])
def test_every_failure_of_the_way_has_its_sentence(error: Exception, kind: type[ReadError], sentence: str) -> None:
    """A failure on the way is told by its innermost cause, in our words: theirs hold the URL and the password."""
    fault = error_of_exception(error)
    assert (kind, sentence) == (type(fault), fault.what)
    assert [word for word in ("s3cret", "pa55word", "Action", "proxy.example") if word in str(fault)] == []


def test_a_chain_that_bites_its_tail_ends() -> None:
    """Exceptions that hold each other do not hang the reader."""
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert isinstance(error_of_exception(first), Unreachable)
