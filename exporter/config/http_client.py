"""How a feed is asked over HTTP: the keys of Prometheus's HTTP client that `http_sd_configs` has."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BeforeValidator, SecretStr, ValidationInfo, field_validator, model_validator

from exporter.config.fields import FilePath, ProxyUrl, Secret, Section, one_of_two
from exporter.config.files import FileFault, read_text
from exporter.config.texts import matching, one_line, text
from exporter.errors import ConfigError, Problem

LARGEST_SECRET: Final = 64 * 1024
LARGEST_CERTIFICATE: Final = 10 * 1024 * 1024

Inline = SecretStr | None
File = Path | None


def _scheme(raw: object) -> str:
    scheme = matching(r"[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,64}", "must be one word, such as Bearer")(raw)
    if scheme.lower() == "basic":
        raise ValueError("must not be Basic: use basic_auth")
    return scheme


def _user_name(raw: object) -> str:
    name = text(raw)
    if ":" in name or not name.isprintable():
        raise ValueError("must be printable and have no colon in it")
    return name


def _password(raw: object) -> SecretStr:
    return SecretStr(text(raw))


class Authorization(Section):
    """`authorization`: the header `Authorization: TYPE CREDENTIALS`."""

    type: Annotated[str, BeforeValidator(_scheme)] = "Bearer"
    credentials: Secret | None = None
    credentials_file: FilePath | None = None

    @field_validator("credentials_file")
    @classmethod
    def _one_of_two(cls, file: object, info: ValidationInfo) -> object:
        return one_of_two(file, info)

    @model_validator(mode="after")
    def _some_credentials(self) -> Self:
        if self.credentials is None and self.credentials_file is None:
            raise ValueError("needs credentials or credentials_file")
        return self


class BasicAuth(Section):
    """`basic_auth`: user name and password, in UTF-8. White space around a file's password is not part of it."""

    username: Annotated[str, BeforeValidator(_user_name)]
    password: Annotated[SecretStr, BeforeValidator(_password)] | None = None
    password_file: FilePath | None = None

    @field_validator("password_file")
    @classmethod
    def _one_of_two(cls, file: object, info: ValidationInfo) -> object:
        return one_of_two(file, info)


class FeedTls(Section):
    """`tls_config`: whom to trust instead of the usual authorities, and the certificate to show."""

    ca_file: FilePath | None = None
    cert_file: FilePath | None = None
    key_file: FilePath | None = None
    insecure_skip_verify: bool = False

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("needs both cert_file and key_file, or none of them")
        return self

    @property
    def files(self) -> dict[str, Path]:
        """The files that are named, by their keys."""
        named = {"ca_file": self.ca_file, "cert_file": self.cert_file, "key_file": self.key_file}
        return {key: file for key, file in named.items() if file}


class HttpClient(Section):
    """Prometheus's keys, as far as they are known here. Without `proxy_url` the environment decides."""

    authorization: Authorization | None = None
    basic_auth: BasicAuth | None = None
    tls_config: FeedTls = FeedTls()
    proxy_url: ProxyUrl | None = None
    follow_redirects: bool = True

    @field_validator("basic_auth")
    @classmethod
    def _one_way_in(cls, given: BasicAuth | None, info: ValidationInfo) -> BasicAuth | None:
        if given and info.data.get("authorization"):
            raise ValueError("excludes authorization: give one of the two")
        return given


def authorization_header(client: HttpClient) -> str | None:
    """The Authorization header with what the files hold now, None when there is to be none; ConfigError otherwise."""
    if client.authorization:
        given = client.authorization
        place = "authorization.credentials_file"
        return f"{given.type} {_secret(given.credentials, given.credentials_file, place, one_line)}"
    if client.basic_auth:
        login = client.basic_auth
        password = _secret(login.password, login.password_file, "basic_auth.password_file", str.strip)
        return "Basic " + b64encode(f"{login.username}:{password}".encode()).decode("ascii")
    return None


def unusable_files(client: HttpClient) -> Iterator[Problem]:
    """What is wrong now with the files that the client names; paths start from the client's section."""
    try:
        authorization_header(client)
    except ConfigError as error:
        yield from error.problems
    for key, file in client.tls_config.files.items():
        try:
            read_text(file, LARGEST_CERTIFICATE)
        except FileFault as fault:
            yield Problem(f"tls_config.{key}", f"the file {fault}")


def _secret(inline: Inline, file: File, place: str, clean: Callable[[str], str]) -> str:
    """The one that is given; `clean` takes white space away from what the file holds."""
    if file is None:
        return inline.get_secret_value() if inline else ""
    try:
        return clean(read_text(file, LARGEST_SECRET))
    except ValueError as fault:
        raise ConfigError([Problem(place, f"the file {fault}")]) from None
