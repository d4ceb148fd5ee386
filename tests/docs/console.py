"""Commands of the documents' consoles, split as a shell would."""

import json
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from tests.docs.reading import Block

SUBSTITUTION = re.compile(r"\$\([^()]*\)")
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
CONTROL = {"|", "&&", "||", ";", "&"}
DATA = ("--json", "--data", "--data-binary", "-d")
WITH_A_VALUE = (*DATA, "-H", "--header", "-X", "--request", "-o", "--output", "-u", "--cacert", "--cert", "--key")


class Call(NamedTuple):
    """One call of curl: its method, where to, and what it sends."""

    method: str
    url: str
    data: str


def lines(block: Block) -> Iterator[str]:
    """What is typed after a `$ `, lines that end in a backslash joined; a comment at the end is left out."""
    text = re.sub(r"\\\n\s*", " ", block.text)
    for line in text.splitlines():
        if line.startswith("$ "):
            yield re.sub(r"\s+# .*$", "", line[2:])


def commands(block: Block) -> Iterator[list[str]]:
    """The words of each command; variables that the block sets are filled in, what a command prints is `it`."""
    variables: dict[str, str] = {}
    for line in lines(block):
        lexer = shlex.shlex(SUBSTITUTION.sub("it", line), posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        lexer.commenters = ""
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word not in CONTROL:
                words.append(_filled(word, variables))
                continue
            while words and (given := ASSIGNMENT.fullmatch(words[0])):
                variables[given[1]] = given[2]
                words = words[1:]
            if words:
                yield words
            words = []


def curl(words: list[str]) -> Call:
    """What a command line of curl asks for."""
    method, url, data = "", "", ""
    rest = iter(words[1:])
    for word in rest:
        value = next(rest) if word in WITH_A_VALUE else ""
        if word in DATA:
            data = value
        elif word in ("-X", "--request"):
            method = value
        elif not word.startswith("-"):
            url = word
    return Call(method or ("POST" if data else "GET"), url, data)


def sent(call: Call) -> object:
    """Its JSON, None when it sends none of its own."""
    return json.loads(call.data) if call.data and not call.data.startswith("@") else None


def _filled(word: str, variables: dict[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda found: variables.get(found[1], found[0]), word)
