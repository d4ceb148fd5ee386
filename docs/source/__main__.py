"""`python -m docs.source`: write docs/configuration.md."""

from pathlib import Path

from docs.source.configuration import reference

DOCUMENT = Path(__file__).parent.parent / "configuration.md"


def main() -> None:
    """Write it anew."""
    DOCUMENT.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
