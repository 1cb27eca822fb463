"""What the pages are made of."""

import subprocess

from jatevo_local.engine import PROJECT

ASSETS = PROJECT / "functions/site/jatevo_site/assets"


def test_the_scripts_are_typed() -> None:
    compiler = PROJECT / "tests/browser/node_modules/.bin/tsc"
    done = subprocess.run(
        [str(compiler), "-p", str(PROJECT / "tests/browser/tsconfig.json")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout


def test_a_first_view_is_small() -> None:
    for page in ("pricing", "playground", "dashboard"):
        shared = (
            "base.css",
            "theme.js",
            "dom.js",
            "http.js",
            "money.js",
            "time.js",
            "snippets.js",
            "wallets.js",
            "keys.js",
        )
        files = [*shared, "charts.js", f"{page}.css", f"{page}.js"]
        assert sum((ASSETS / name).stat().st_size for name in files) < 100_000


def test_no_script_makes_markup_of_text() -> None:
    for script in ASSETS.glob("*.js"):
        source = script.read_text()
        for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert forbidden not in source, script.name
