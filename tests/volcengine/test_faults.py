from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import (
    AppRefused,
    CredentialsRefused,
    NotFound,
    ReadError,
    Rejected,
    ServerFailed,
    Throttled,
    Unreachable,
)
from exporter.volcengine.error_mapping import error_in_answer, request_id, seconds_until, unix_time

NOW = 1_700_000_000.0


def envelope(error: object) -> dict[str, object]:
    """A refusal as the vendor words it."""
    return {"ResponseMetadata": {"RequestId": "20260115-ABC", "Action": "GetWebCastTask", "Error": error}}


def refused(status: int, code: str) -> ReadError:
    """The error that an envelope with this code tells."""
    error = error_in_answer(status, None, envelope({"Code": code, "Message": "s3cret"}), NOW)
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
                "LackPolicy InvalidTimestamp MissingAuthenticationToken MissingSignature InvalidTimestamp.Expired"
            ),
        ),
        (
            AppRefused,
            (
                "AccessDenied AccessDenied.NoPermissionForApp AccessDenied.ServiceNotEnabled LackProjectPolicy "
                "InvalidParameter.AccountIdMismatch InvalidParameter.NotExistAppId InvalidParameter.AppIdNotFound"
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
                "ServiceUnavailable ServiceUnavailableTemporarily"
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
    """Contract, section 5: an error in the envelope is told by its code, on HTTP 200 too."""
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
    told = error_in_answer(status, None, envelope(error), NOW)
    if status == 200 and not error:
        assert told is None
        return
    assert isinstance(told, kind)
    assert status == told.http_status
    assert "s3cret" not in str(told)


@pytest.mark.parametrize("document", [None, "text", [1], 3.5, {}, {"ResponseMetadata": None}, {"ResponseMetadata": []}])
def test_answers_without_an_envelope(document: object) -> None:
    """A success without an envelope is nobody's refusal; a 502 page of a proxy is the server's failure."""
    assert error_in_answer(200, None, document, NOW) is None
    assert error_in_answer(204, None, document, NOW) is None
    assert isinstance(error_in_answer(502, None, document, NOW), ServerFailed)


def test_a_redirect_says_that_it_is_not_followed() -> None:
    """Contract, section 5: a redirect from the API is `rejected` and never followed."""
    error = error_in_answer(302, None, None, NOW)
    assert str(error) == "the API answered with a redirect, which is not followed (http=302)"


def test_the_code_number_stands_for_a_missing_code() -> None:
    """The gateway's CodeN is used when there is no Code (volcengine.com/docs/6369/68677)."""
    error = error_in_answer(401, None, envelope({"CodeN": 100010}), NOW)
    assert isinstance(error, CredentialsRefused)
    assert error.code == "SignatureDoesNotMatch"
    assert isinstance(error_in_answer(400, None, envelope({"CodeN": 999, "Message": "?"}), NOW), Rejected)
    assert isinstance(error_in_answer(400, None, envelope({"CodeN": {}}), NOW), Rejected)


def test_an_error_that_is_a_known_code() -> None:
    """An Error that is a string counts as a Code if it is a known one, and is not told otherwise."""
    error = error_in_answer(200, None, envelope("AccessDenied"), NOW)
    assert isinstance(error, AppRefused)
    assert error.code == "AccessDenied"


def test_code_and_request_id_are_told_the_message_never() -> None:
    """Contract, section 2: Code and RequestId are told, the Message (it may echo the request) never."""
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
    """A header that is no date gives no time."""
    assert unix_time(text) is None
