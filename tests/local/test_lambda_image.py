"""The image that stands in for AWS's base image under `sam local` holds what a container needs to run a function."""

import subprocess
import sys
import tarfile

import pytest

from jatevo_local.engine import PROJECT

PROGRAMS = {"bin/sh", "bin/cp", "bin/mv", "bin/rm", "bin/chmod"}
"""Those that `sam local` runs in it to add its emulator and the layers."""


def test_the_image_holds_an_interpreter_its_libraries_and_the_managed_loop() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("images are made of a Linux machine's own files")
    subprocess.run([PROJECT / "scripts" / "sam"], check=True)  # installs the managed loop on first use
    with subprocess.Popen([PROJECT / "scripts" / "lambda-image"], cwd=PROJECT, stdout=subprocess.PIPE) as made:
        assert made.stdout is not None
        with tarfile.open(fileobj=made.stdout, mode="r|") as image:
            entries = {entry.name: entry for entry in image}
    assert made.returncode == 0
    assert all(entry.isdir() or entry.isreg() for entry in entries.values()), "links lead nowhere in an image"
    assert PROGRAMS | {"var/lang/bin/python3.13", "var/lang/lib/python3.13/os.py"} <= set(entries)
    assert entries["var/runtime/bootstrap"].mode & 0o111 == 0o111
    assert {"var/runtime/awslambdaric/__main__.py", "var/runtime/snapshot_restore_py.py"} <= set(entries)
    libraries = {name.rpartition("/")[2].partition(".so")[0] for name in entries if ".so" in name}
    assert {"libc", "libm", "libgcc_s", "libstdc++"} <= libraries
    assert any(name.rpartition("/")[2].startswith("ld-linux") for name in entries)
