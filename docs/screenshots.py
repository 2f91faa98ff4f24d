"""Take the pictures of the status page that the documentation shows: ``python docs/screenshots.py OUTDIR``.

A lab with runs in every state is made on an embedded database and a bucket of its own, the page is served, and Debian's
Chromium looks at it (``tests/install_chromium.sh`` installs it). ``make docs`` calls this; the pictures aren't kept in
the repository. Without Chromium nothing is written, and the exit code is 3.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SIZE = {"width": 1100, "height": 780}
NO_BROWSER = 3
BUCKET = "screenshots"


def take(folder: Path) -> list[Path]:
    """Take all pictures.

    Parameters
    ----------
    folder : Path
        Where they go; made if missing.

    Returns
    -------
    list of Path
        Empty where there is no Chromium.
    """
    sys.path.insert(0, str(ROOT))  # the lab is the one of the tests
    from fmdj_cloud.demo.servers import embedded_postgres, embedded_s3
    from tests.support.kills.world import kill_world
    from tests.support.page.browser import chromium, visit
    from tests.support.page.site import Site, one_of_each, served

    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        if browser is None:
            return []
        with tempfile.TemporaryDirectory() as name:
            places = [Path(name) / part for part in ("database", "store", "lab")]
            for place in places:
                place.mkdir()
            with (
                embedded_postgres(places[0]) as database,
                embedded_s3(places[1], BUCKET) as s3,
                kill_world(database, s3, f"s3://{BUCKET}", places[2]) as world,
            ):
                runs = one_of_each(Site(world))
                shown = {
                    "status-overview": ("/", "light"),
                    "status-overview-dark": ("/", "dark"),
                    "status-failures": ("/failures", "light"),
                    "status-failed-run": (f"/runs/{runs['memory'].run_id}", "light"),
                    "status-run": (f"/runs/{runs['loaded'].run_id}", "light"),
                }
                made = []
                with served(world, places[2]) as address:
                    for picture, (path, scheme) in shown.items():
                        with visit(browser, address, viewport=SIZE, color_scheme=scheme) as guest:
                            page = guest.go(path)
                            page.get_by_text("Kept up to date.").wait_for()
                            made.append(folder / f"{picture}.png")
                            page.screenshot(path=made[-1])
                return made


def main() -> int:
    """Take them, and say where they are."""
    if len(sys.argv) != 2:
        sys.stderr.write("Say where the pictures go: python docs/screenshots.py OUTDIR\n")
        return 2
    made = take(Path(sys.argv[1]))
    for path in made:
        sys.stdout.write(f"{path}\n")
    return 0 if made else NO_BROWSER


if __name__ == "__main__":
    raise SystemExit(main())
