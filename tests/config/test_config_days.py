"""A day in the config: text, or as TOML writes days, or a variable."""

from datetime import date

import pytest

from guard.config import load

ACCOUNT = '[accounts.main]\nexchange = "gate"\n'
KEYS = {"GUARD_ACCOUNTS__MAIN__API_KEY": "key-of-main", "GUARD_ACCOUNTS__MAIN__SECRET": "secret-of-main"}


def signed_on(folder, text, **environ):
    path = folder / "config.toml"
    path.write_text(ACCOUNT + text)
    return load(path, environ=KEYS | environ).accounts["main"].key_signed_on


@pytest.mark.parametrize(
    ("text", "environ", "day"),
    [
        ("", {}, None),
        ('key_signed_on = "2026-01-31"', {}, date(2026, 1, 31)),
        ("key_signed_on = 2026-01-31", {}, date(2026, 1, 31)),
        ("key_signed_on = 2026-01-31", {"GUARD_ACCOUNTS__MAIN__KEY_SIGNED_ON": "2026-02-01"}, date(2026, 2, 1)),
    ],
)
def test_the_day_of_a_signature_for_a_key_is_read(tmp_path, text, environ, day):
    assert signed_on(tmp_path, text, **environ) == day
