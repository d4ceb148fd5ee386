"""From the web config file to what is in force."""

from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from exporter.config.web_config import parse_web_config
from exporter.errors import ConfigError
from exporter.web.auth import make_policy

if TYPE_CHECKING:
    from exporter.simulator.server import Certificates

pems = st.builds(
    "{}-----BEGIN {}-----\n{}\n-----END {}-----\n{}".format,
    st.text(max_size=9),
    st.sampled_from(("CERTIFICATE", "PRIVATE KEY", "EC PRIVATE KEY", "TRUSTED CERTIFICATE")),
    st.binary(max_size=60).map(lambda data: data.hex()) | st.text(max_size=60),
    st.sampled_from(("CERTIFICATE", "PRIVATE KEY", "")),
    st.text(max_size=9),
)
GOOD = "the good one"
texts = st.just(GOOD) | pems | st.tuples(pems, st.just(GOOD)).map("".join)
auth = st.sampled_from(("NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"))


@given(texts, texts, texts | st.none(), auth)
def test_any_certificates_are_used_or_refused(
    certificates: "Certificates", cert: str, key: str, authority: str | None, client_auth: str
) -> None:
    """Whatever is in them: they are used, or each problem is a sentence; never another error."""
    good = certificates.trusted.read_text()
    section = {"cert": cert, "key": key, "client_ca": authority, "client_auth_type": client_auth}
    said = {name: text.replace(GOOD, good) for name, text in section.items() if text is not None}
    lines = "".join(f"  {name}: {_quoted(text)}\n" for name, text in said.items())
    told = problems(f"tls_server_config:\n{lines}")
    assert [problem for problem in told if not problem or "\n" in problem] == []
    assert told == [] or {cert, key, authority} != {GOOD} or client_auth == "NoClientCert"


def problems(text: str) -> list[str]:
    """What is wrong with a file, all the way until it is in force."""
    try:
        make_policy(parse_web_config(text, Path("/no-such-folder")))
    except ConfigError as error:
        return [problem.sentence for problem in error.problems]
    return []


def _quoted(text: str) -> str:
    """As YAML writes any text between double quotes."""
    return '"' + "".join(f"\\U{ord(letter):08X}" for letter in text) + '"'
