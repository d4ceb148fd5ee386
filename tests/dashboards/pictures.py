"""`make pictures PREVIEW=/path/to/preview.sh`: draw docs/images from the scene in which everything happens.

PREVIEW is a program that asks a Prometheus and draws a dashboard file, called as `PREVIEW --prometheus URL --out DIR
--from now-18m --to now --scrape-interval 5s --timezone utc [--var=NAME=VALUE ...] FILE`.
"""

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from benchmarks.processes import free_port, part, running, serving
from tests.dashboards.scene import lesson, staged

ROOT = Path(__file__).parent.parent.parent
GRAFANA, IMAGES = ROOT / "dashboards" / "grafana", ROOT / "docs" / "images"
MINUTES = 18
BEFORE_THE_EVENING_FAILS = 11
EVENING_FAILS_FOR = 3
SHOWN = lesson("Cut")


def main(preview: str) -> None:
    """Play the scene for its minutes, then draw."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        stage = stack.enter_context(staged(Path(folder, "exporter")))
        exporter = stack.enter_context(serving(str(stage.directory), stage.config(), "/-/ready"))[1]
        prometheus = f"127.0.0.1:{free_port()}"
        stack.enter_context(running(_prometheus(Path(folder), prometheus, exporter), prometheus))
        stage.play(f"http://{exporter}")
        _wait(BEFORE_THE_EVENING_FAILS)
        stage.fail_the_evening()
        _wait(EVENING_FAILS_FOR)
        stage.mend_the_evening()
        _wait(MINUTES - BEFORE_THE_EVENING_FAILS - EVENING_FAILS_FOR)
        _draw(preview, f"http://{prometheus}")


def _draw(preview: str, prometheus: str) -> None:
    ids = [f"--var={name}={value}" for name, value in SHOWN._asdict().items()]
    said = ["--prometheus", prometheus, "--out", str(IMAGES), "--scrape-interval", "5s", "--timezone", "utc"]
    said += ["--from", f"now-{MINUTES}m", "--to", "now"]
    for name, chosen in (("fleet", []), ("exporter", []), ("task", ids)):
        subprocess.run([preview, *said, *chosen, str(GRAFANA / f"{name}.json")], check=True)


def _prometheus(folder: Path, address: str, exporter: str) -> list[str]:
    program = part("prometheus")
    if program is None:
        sys.exit("no prometheus: run make parts")
    scrape = {"job_name": "webcast", "static_configs": [{"targets": [exporter]}]}
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump({"global": {"scrape_interval": "5s"}, "scrape_configs": [scrape]}))
    flags = [f"--config.file={config}", f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address={address}"]
    return [str(program), *flags, "--log.level=error"]


def _wait(minutes: float) -> None:
    time.sleep(60 * minutes)


if __name__ == "__main__":
    main(sys.argv[1])
