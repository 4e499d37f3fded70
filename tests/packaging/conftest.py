"""The image, built for real: only on request, for it needs root, Debian's tools, a network and minutes."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("buildah", "podman", "crun", "debootstrap", "systemd-nspawn", "nsenter", "unshare")


@pytest.fixture(scope="session")
def built_image():
    """Build the image from the files as they are here; give the folder in which it was built."""
    if os.environ.get("REAL_PACKAGING") != "1":
        pytest.skip("builds and boots for minutes: REAL_PACKAGING=1 asks for it (docs/install.md)")
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    work = Path(os.environ.get("REAL_PACKAGING_WORK", Path(tempfile.gettempdir()) / "guard-packaging"))
    subprocess.run([ROOT / "tests/packaging/build_image.sh", ROOT, work], check=True)
    return work
