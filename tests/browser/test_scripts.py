"""What the pages are made of."""

import re
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
    """All of a page, before compression: what it names, and what its modules import."""
    for page in ("pricing", "playground", "dashboard", "admin"):
        files, found = {"base.css", f"{page}.css", "theme.js", "icon.svg"}, {f"{page}.js"}
        while found:
            files |= found
            imported = {name for file in found for name in re.findall(r'from "\./(.+?)"', (ASSETS / file).read_text())}
            found = imported - files
        sizes = [(ASSETS / name).stat().st_size for name in files]
        markup = sum((ASSETS.parent / "templates" / f"{name}.html").stat().st_size for name in ("layout", page))
        assert sum(sizes) + markup < 100_000


def test_no_script_takes_money_for_a_number() -> None:
    for script in ASSETS.glob("*.js"):
        assert not re.search(
            r"parseFloat|(Number|Math\.\w+)\([^)\n]*usd|_usd\s*[*/]|\+[\w.]+_usd", script.read_text()
        ), script.name


def test_no_script_makes_markup_of_text() -> None:
    for script in ASSETS.glob("*.js"):
        source = script.read_text()
        for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert forbidden not in source, script.name
