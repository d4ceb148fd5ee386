"""The bundled files: those that are part of the package, and those that are made of them."""

from importlib.resources import files
from pathlib import Path

from exporter.bundle.kubernetes import manifests

IN_THE_WHEEL = Path(str(files("exporter"))) / "dashboards"
IN_THE_REPOSITORY = IN_THE_WHEEL.parent.parent / "dashboards"
EXPORTED = ("README.md", "alertmanager", "grafana", "prometheus", "provisioning")


def bundle() -> dict[str, str]:
    """Every file to be exported, by its path with slashes, sorted; empty when this installation has none."""
    packaged = _packaged()
    return dict(sorted({**packaged, **manifests(packaged)}.items())) if packaged else {}


def _folder() -> Path:
    """Inside the package, or beside it in a checkout."""
    return IN_THE_WHEEL if IN_THE_WHEEL.is_dir() else IN_THE_REPOSITORY


def _packaged() -> dict[str, str]:
    found = {path.relative_to(_folder()): path for path in _folder().rglob("*") if path.is_file()}
    return {name.as_posix(): path.read_text("utf-8") for name, path in found.items() if name.parts[0] in EXPORTED}
