"""The image, built without changes and run the way docs/compose.yaml runs it."""

import json
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
IMAGE = "localhost/guard:test"

pytestmark = pytest.mark.timeout(900)  # The first build makes a Debian tree.


@pytest.fixture
def run(built_image):
    def run_image(*arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        command = [HERE / "run_image.sh", built_image, *options, IMAGE, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run_image


def test_the_image_answers_on_a_read_only_root(run):
    assert run("--version").stdout.startswith("guard ")
    assert "properties" in json.loads(run("schema").stdout)


def test_the_image_writes_its_state_and_nothing_else(run):
    tries = (
        "import os\n"
        "print(os.getuid(), os.getgid())\n"
        "open('/var/lib/guard/state', 'w').write('x')\n"
        "for path in ('/etc/x', '/opt/guard/x', '/usr/x'):\n"
        "    try:\n        open(path, 'w')\n        print('wrote', path)\n"
        "    except OSError as error:\n        print(error.strerror)\n"
    )
    tried = run("-c", tries, options=("--entrypoint", "python"))

    assert tried.stdout.splitlines() == ["10001 10001", *["Read-only file system"] * 3]


def test_the_image_compiles_nothing_when_it_starts(run):
    started = run("-v", "-c", "import ccxt.pro, guard.cli.app", options=("--entrypoint", "python"))

    assert started.returncode == 0
    assert "bytecode is stale" not in started.stderr
    assert "ccxt/pro/__pycache__/binance.cpython" in started.stderr


def test_a_config_that_is_missing_ends_the_container_with_its_own_status(run):
    ended = run("run", "--config", "/etc/guard/config.toml")

    assert ended.returncode == 78
    assert "/etc/guard/config.toml" in ended.stderr


def test_the_health_check_says_ill_without_a_guard_and_with_one_that_sees_nothing(run, built_image):
    storage = ["--root", built_image / "store", "--runroot", built_image / "run", "--storage-driver", "overlay"]
    config = json.loads(subprocess.check_output(["podman", *storage, "inspect", "--type", "image", IMAGE]))[0]
    check = config["Healthcheck"]["Test"]
    assert check[:2] == ["CMD", "python"]
    script = (
        "import subprocess, sys, time\n"
        f"check = {check[1:]!r}\n"
        "print(subprocess.run(check, stderr=subprocess.DEVNULL).returncode)\n"
        "guard = subprocess.Popen(['guard', 'run', '--config', '/config.toml'])\n"
        "time.sleep(4)\n"
        "print(subprocess.run(check).returncode)\n"
        "guard.terminate()\n"
        "print(guard.wait(timeout=10))\n"
    )
    keys = [
        part
        for name in ("accounts__main__api_key", "accounts__main__secret")
        for part in ("--volume", f"{HERE / 'test_real_image.py'}:/run/secrets/{name}:ro")
    ]

    seen = run(
        "-c",
        script,
        options=("--entrypoint", "python", "--volume", f"{HERE / 'unreachable.toml'}:/config.toml:ro", *keys),
    )

    assert seen.stdout.split() == ["1", "1", "0"], seen.stderr


def test_the_first_minute_plays_in_the_image_too(run):
    played = run("demo", "--fast", "--json")
    told = json.loads(played.stdout)

    assert played.returncode == 0
    assert told["guarded"]["liquidations"] == []
    assert told["guarded"]["top_ups"]
    assert told["unguarded"]["liquidations"]
