"""A small machine with a real systemd, booted in a container of its own (systemd-nspawn) on no network."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BOOT_WITHIN_S = 60.0


class Machine:
    """Its files are at `root`, its processes behind the namespaces of `leader`."""

    def __init__(self, root: Path, leader: int) -> None:
        self.root = root
        self._enter = ["nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "-C", "--"]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._enter, *command], capture_output=True, text=True, check=False, timeout=120)

    def show(self, *properties: str) -> dict[str, str]:
        """Return properties of guard.service as systemd sees them."""
        shown = self.run("systemctl", "show", "guard", "-p", ",".join(properties)).stdout
        return dict(line.split("=", 1) for line in shown.splitlines())

    def journal(self) -> str:
        return self.run("journalctl", "-u", "guard", "-o", "cat", "--no-pager").stdout

    def wait_until(self, properties: dict[str, str], *, within_s: float) -> dict[str, str]:
        """Return what guard.service shows, as soon as it is as wanted or the time is over."""
        ends_at = time.monotonic() + within_s
        while (shown := self.show(*properties)) != properties and time.monotonic() < ends_at:
            time.sleep(0.1)
        return shown

    def override(self, text: str) -> None:
        """Do what `systemctl edit guard` does."""
        folder = self.root / "etc/systemd/system/guard.service.d"
        folder.mkdir(exist_ok=True)
        (folder / "override.conf").write_text(text)
        self.run("systemctl", "daemon-reload")


@contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """Boot the tree at `root`; it is switched off when the block ends."""
    environment = os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}  # systemd 257 refuses cgroup v1.
    command = ["systemd-nspawn", "--quiet", "--directory", root, "--boot", "--keep-unit", "--register=no"]
    with (root.parent / "console.log").open("wb") as console:
        container = subprocess.Popen(
            [*command, "--private-network", "--console=pipe"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        )
        try:
            machine = Machine(root, _leader_of(container.pid))
            _wait_for_boot(machine)
            yield machine
            machine.run("systemctl", "poweroff")
            container.wait(timeout=60)
        finally:
            container.kill()
            container.wait()


def _leader_of(nspawn: int) -> int:
    """Return the process that is 1 inside: the child of nspawn that runs systemd."""
    ends_at = time.monotonic() + BOOT_WITHIN_S
    while time.monotonic() < ends_at:
        for child in _children_of(nspawn):
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return child
        time.sleep(0.1)
    raise TimeoutError("the machine does not start")


def _children_of(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children")
    direct = [int(child) for child in listed.read_text().split()] if listed.exists() else []
    return direct + [grandchild for child in direct for grandchild in _children_of(child)]


def _wait_for_boot(machine: Machine) -> None:
    ends_at = time.monotonic() + BOOT_WITHIN_S
    while time.monotonic() < ends_at:
        if machine.run("systemctl", "is-system-running").stdout.strip() in {"running", "degraded"}:
            return
        time.sleep(0.2)
    raise TimeoutError("the machine does not come up")


def copied(tree: Path, root: Path) -> Path:
    """Return a fresh copy of a tree: what a boot leaves behind must not reach the next."""
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "-a", tree, root], check=True)
    (root / "etc/machine-id").write_text("")  # Empty: it gets one of its own. Missing: its first boot asks questions.
    return root
