"""Every error that an answer, an exception of the libraries or a header can stand for."""

import errno
import http.client
import socket
import ssl
from email.utils import formatdate
from tempfile import NamedTemporaryFile

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests import exceptions as of_requests
from urllib3 import exceptions as of_urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from exporter.errors import (
    AppRefused,
    CredentialsRefused,
    NotFound,
    NotJson,
    ReadError,
    Rejected,
    ServerFailed,
    Throttled,
    TimedOut,
    TlsFailed,
    Unreachable,
)
from exporter.volcengine.error_mapping import error_of_exception
from exporter.volcengine.replies import (
    Answer,
    error_in_answer,
    parse_answer,
    request_id,
    seconds_until,
    unix_time,
)

NOW = 1_700_000_000.0


def refusal(error: object) -> dict[str, object]:
    """A refusal as the vendor words it."""
    return {"ResponseMetadata": {"RequestId": "20260115-ABC", "Action": "GetWebCastTask", "Error": error}}


def refused(status: int, code: str) -> ReadError:
    """The error that an envelope with this code tells."""
    error = error_in_answer(status, None, refusal({"Code": code, "Message": "s3cret"}), NOW)
    assert error is not None
    return error


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        (
            CredentialsRefused,
            (
                "InvalidAccessKey SignatureDoesNotMatch InvalidAuthorization InvalidCredential InvalidSecretToken "
                "LackPolicy InvalidTimestamp MissingAuthenticationToken MissingSignature InvalidTimestamp.Expired "
                "InvalidAccessKey.NotFound"
            ),
        ),
        (
            AppRefused,
            (
                "AccessDenied AccessDenied.NoPermissionForApp AccessDenied.ServiceNotEnabled LackProjectPolicy "
                "InvalidParameter.AccountIdMismatch InvalidParameter.NotExistAppId InvalidParameter.AppIdNotFound "
                "InvalidParameter.IllegalAppId AccessDenied.NotFound"
            ),
        ),
        (
            Throttled,
            (
                "FlowLimitExceeded FlowLimitExceeded.QPSOverLimit FlowLimitExceeded.TaskNumberOverLimit "
                "AccountFlowLimitExceeded Throttling.User TooManyRequests RequestLimitExceeded"
            ),
        ),
        (
            NotFound,
            (
                "InvalidParameter.ErrorActiveTaskNotFound InvalidParameter.TaskNotExist TaskNotFound NotFound "
                "ResourceNotFound InvalidParameter.NotExistTaskId NotFound.Task NoSuchTask InvalidParameter.NotFound"
            ),
        ),
        (
            ServerFailed,
            (
                "InternalError InternalError.GenerateTokenFailed InternalErrorX InternalServiceTimeout "
                "ServiceUnavailable ServiceUnavailableTemporarily InternalServiceError"
            ),
        ),
        (
            Rejected,
            (
                "InvalidParameter InvalidParameter.IllegalRoomID InvalidParameter.SizeOverLimit MissingParameter "
                "MissingRequestInfo ServiceNotFound InvalidActionOrVersion InvalidParameter.UserCountOverLimit"
            ),
        ),
    ],
)
def test_a_known_code_counts_whatever_the_status(status: int, kind: type[ReadError], codes: str) -> None:
    """An error is told by its code, on HTTP 200 too."""
    assert [kind] * len(codes.split()) == [type(refused(status, code)) for code in codes.split()]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, Rejected),
        (301, Rejected),
        (302, Rejected),
        (304, Rejected),
        (400, Rejected),
        (401, CredentialsRefused),
        (403, CredentialsRefused),
        (404, Rejected),
        (407, Unreachable),
        (408, ServerFailed),
        (418, Rejected),
        (429, Throttled),
        (500, ServerFailed),
        (502, ServerFailed),
        (599, ServerFailed),
    ],
)
@pytest.mark.parametrize("error", [{"Code": "SomethingNew"}, {}, "s3cret words", ["s3cret"], 7, {"Code": ["s3cret"]}])
def test_an_unknown_error_is_told_by_the_status(status: int, kind: type[ReadError], error: object) -> None:
    """Without a code that is known, the HTTP status decides, whatever shape the error has."""
    told = error_in_answer(status, None, refusal(error), NOW)
    if status == 200 and not error:
        assert told is None
        return
    assert isinstance(told, kind)
    assert status == told.http_status
    assert "s3cret" not in str(told)


@pytest.mark.parametrize("document", [None, "text", [1], 3.5, {}, {"ResponseMetadata": None}, {"ResponseMetadata": []}])
def test_answers_without_metadata(document: object) -> None:
    """A success without metadata is no refusal; a 502 page of a proxy is the server's failure."""
    assert error_in_answer(200, None, document, NOW) is None
    assert error_in_answer(204, None, document, NOW) is None
    assert isinstance(error_in_answer(502, None, document, NOW), ServerFailed)


def test_a_redirect_says_that_it_is_not_followed() -> None:
    error = error_in_answer(302, None, None, NOW)
    assert str(error) == "the API answered with a redirect, which is not followed (http=302)"


def test_the_code_number_stands_for_a_missing_code() -> None:
    """The gateway's CodeN is used when there is no Code (volcengine.com/docs/6369/68677)."""
    error = error_in_answer(401, None, refusal({"CodeN": 100010}), NOW)
    assert isinstance(error, CredentialsRefused)
    assert error.code == "SignatureDoesNotMatch"
    unknown = error_in_answer(400, None, refusal({"CodeN": 999, "Code": "", "Message": "?"}), NOW)
    assert isinstance(unknown, Rejected)
    assert unknown.code == "999", "so that it is logged and shown on /status"
    assert isinstance(error_in_answer(200, None, refusal({"Code": 100009}), NOW), CredentialsRefused)
    assert isinstance(error_in_answer(400, None, refusal({"CodeN": {}}), NOW), Rejected)


def test_an_error_that_is_a_known_code() -> None:
    """An Error that is a string counts as a Code if it is a known one, and is not told otherwise."""
    error = error_in_answer(200, None, refusal("AccessDenied"), NOW)
    assert isinstance(error, AppRefused)
    assert error.code == "AccessDenied"


def test_code_and_request_id_are_told_the_message_never() -> None:
    """Code and RequestId are told, the Message (it may echo the request) never."""
    error = refused(403, "AccessDenied.NoPermissionForApp")
    assert str(error) == (
        "the access key may not read this app (code=AccessDenied.NoPermissionForApp http=403 request_id=20260115-ABC); "
        "give its user the app, or its project, in IAM"
    )
    assert "s3cret" not in repr(error) + repr(vars(error))


@given(code=st.text(max_size=300), request=st.text(max_size=300), status=st.integers(100, 599))
def test_names_told_are_short_and_safe(code: str, request: str, status: int) -> None:
    """What the vendor calls things cannot break a log line or a page, and is at most 128 characters."""
    document = {"ResponseMetadata": {"RequestId": request, "Error": {"Code": code, "Message": "s3cret"}}}
    error = error_in_answer(status, None, document, NOW)
    assert error is not None
    for name in (error.code, error.request_id):
        assert len(name) <= 128
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["ResponseMetadata", "Error", "Code", "CodeN"]), inner)
    ),
)


@given(document=json_values, status=st.integers(0, 999), retry_after=st.none() | st.text())
def test_no_answer_raises(document: object, status: int, retry_after: str | None) -> None:
    """Whatever JSON and header come, the result is an error or none, never an exception."""
    error = error_in_answer(status, retry_after, document, NOW)
    assert error is None or isinstance(error, ReadError)
    assert isinstance(request_id(document), str)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("3", 3.0),
        (" 120 ", 120.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-5", None),
        ("soon", None),
        ("nan", None),
        ("1e9", None),
        ("٣", None),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), None),
        ("Wed, 99 Foo 2026 00:00:00 GMT", None),
        ("Tue, 14 Nov 2023 22:15:00 -0000", None),
    ],
)
def test_retry_after_in_both_forms(header: str | None, seconds: float | None) -> None:
    """Seconds or an HTTP date; what is past, negative or neither is ignored."""
    assert seconds == seconds_until(header, NOW)
    error = error_in_answer(429, header, None, NOW)
    assert isinstance(error, Throttled)
    assert seconds == error.retry_after


@pytest.mark.parametrize("text", ["", "yesterday", "0", "Mon, 01 Jan 99999 00:00:00 GMT", "a, b c d e f"])
def test_no_date_is_none(text: str) -> None:
    assert unix_time(text) is None


SENT = 1768465805.0
DATE = "Thu, 15 Jan 2026 08:30:05 GMT"


def retry_after(date: str, header: str, now: float) -> float | None:
    """What an answer of 429 with these headers says at `now`."""
    with pytest.raises(Throttled) as caught:
        parse_answer(Answer(429, date=date, retry_after=header, document=None, flaw=None), now)
    return caught.value.retry_after


@pytest.mark.parametrize("ours", [SENT, SENT - 3600, SENT + 3600])
def test_a_date_to_come_back_at_is_by_the_server_s_clock(ours: float) -> None:
    """Whatever our own clock says; the answer's Date tells the server's."""
    assert retry_after(DATE, "Thu, 15 Jan 2026 08:30:12 GMT", ours) == 7


def test_without_a_date_header_our_clock_counts() -> None:
    """There is no other."""
    assert retry_after("", "Thu, 15 Jan 2026 08:30:12 GMT", SENT + 2) == 5


def test_seconds_need_no_clock() -> None:
    assert retry_after(DATE, "7", SENT - 3600) == 7


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
    cause = OSError(f"Tunnel connection failed: {status} s3cret")
    return of_requests.ProxyError(of_urllib3.MaxRetryError(POOL, SECRET_URL, of_urllib3.ProxyError(SECRET_URL, cause)))


def untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED]")
    error.verify_message = "certificate has expired"
    error.verify_code = 10
    return error


def damaged() -> ssl.SSLError:
    """What OpenSSL says of a CA file with half a certificate in it."""
    with NamedTemporaryFile("w") as file:
        file.write("-----BEGIN CERTIFICATE-----\nMIIB\n")
        file.flush()
        with pytest.raises(ssl.SSLError) as raised:
            ssl.create_default_context(cafile=file.name)
    return raised.value


def broken_tls() -> ssl.SSLError:
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
    (wrapped(of_urllib3.SSLError(damaged())), TlsFailed, "the CA file holds a damaged certificate"),
    (wrapped(of_urllib3.SSLError(PermissionError(13, "?"))), TlsFailed, "the CA file cannot be read"),
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


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("The task does not exist", NotFound),
        ("task doesn\u2019t exist or has stopped", NotFound),
        ("TaskId not exist", NotFound),
        ("WebCast task cannot be found", NotFound),
        ("no active task found in room", NotFound),
        ("the task has already been stopped", NotFound),
        ("task is not running", NotFound),
        ("nonexistent task", NotFound),
        ("Invalid parameter: task not found", NotFound),
        ("room not found", NotFound),
        ("TaskNotFound", NotFound),
        ("can't find the task in account 21", NotFound),
        ("任务已结束", NotFound),
        ("查询不到任务", NotFound),
        ("app not found", AppRefused),
        ("应用不存在", AppRefused),
        ("", Rejected),
        ("the task is valid", Rejected),
        ("parameter RoomId does not exist", Rejected),
        ("Field TaskId not found", Rejected),
        ("Version not found", Rejected),
        ("account has expired", Rejected),
        ("account 21 does not exist", Rejected),
        ("TaskId must match [a-z]", Rejected),
    ],
)
def test_the_message_of_a_vague_code_is_looked_at(message: str, kind: type[ReadError]) -> None:
    """It decides whether a bare InvalidParameter means "no such task", and is never shown."""
    for error in ({"Code": "InvalidParameter", "Message": message}, {"Message": f"{message} s3cret", "Code": "Odd"}):
        found = error_in_answer(400, None, refusal(error), NOW)
        assert isinstance(found, kind)
        assert "s3cret" not in repr(vars(found)) + str(found)
    for code in ("InternalError", "MissingParameter", "InvalidAccessKey", "FlowLimitExceeded"):
        found = error_in_answer(400, None, refusal({"Code": code, "Message": message}), NOW)
        assert not isinstance(found, NotFound), "a code that says more counts"
