"""config.example.toml is read by people and copied: it must be right, complete, and safe as it stands."""

import re
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from guard.config import json_schema, load
from guard.policy.terms import Mode

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
OPTION_THAT_IS_OFF = re.compile(r"^#(?=[a-z\[])", re.MULTILINE)
KEYS = {"GUARD_ACCOUNTS__MAIN__API_KEY": "key-of-main", "GUARD_ACCOUNTS__MAIN__SECRET": "secret-of-main"}


@pytest.fixture
def full_example(tmp_path):
    """The example with every option switched on, and the secret files it names."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("main_api_key", "main_secret", "main_password", "telegram_token"):
        (secrets / name).write_text(f"value-of-{name}\n")
    (secrets / "webhook_secret").write_text("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3")
    config = tmp_path / "config.toml"
    config.write_text(OPTION_THAT_IS_OFF.sub("", EXAMPLE.read_text()))
    for file in (config, *secrets.iterdir()):
        file.chmod(0o600)
    return config


def test_the_example_works_as_it_stands_and_only_observes():
    settings = load(EXAMPLE, environ=KEYS)
    assert settings.mode is Mode.OBSERVE
    account = settings.accounts["main"]
    assert account.terms.mode is Mode.OBSERVE
    assert account.terms.rules[0].mode is Mode.SHADOW
    assert account.venue.api_key == "key-of-main"
    assert settings.web_listen is None


def test_every_option_of_the_example_works_when_it_is_switched_on(full_example):
    settings = load(full_example, environ={})
    assert settings.warnings == ()
    assert set(settings.accounts) == {"main", "second"}
    assert settings.accounts["main"].venue.password == "value-of-main_password"
    assert [channel.token for channel in settings.telegram] == ["value-of-telegram_token", "123456:your-bot-token"]
    assert settings.accounts["main"].terms.data_age.stale_after == timedelta(seconds=90)


def test_what_the_example_calls_a_default_is_the_default(full_example):
    switched_on, as_it_stands = load(full_example, environ={}), load(EXAMPLE, environ=KEYS)
    ours, theirs = switched_on.accounts["main"], as_it_stands.accounts["main"]
    assert [
        (rung.distance, rung.sigmas, rung.clear, rung.clear_for, rung.repeat_interval)
        for rung in ours.terms.ladder.rungs
    ] == [
        (rung.distance, rung.sigmas, rung.clear, rung.clear_for, rung.repeat_interval)
        for rung in theirs.terms.ladder.rungs
    ]
    assert ours.terms.rules[0].top_up == theirs.terms.rules[0].top_up
    assert (ours.poll_calm, ours.poll_near) == (theirs.poll_calm, theirs.poll_near)
    assert ours.terms.model_gap_alert == theirs.terms.model_gap_alert
    assert ours.terms.data_age.blind_after == theirs.terms.data_age.blind_after
    assert switched_on.journal_path == as_it_stands.journal_path
    assert switched_on.console_from_level == as_it_stands.console_from_level
    assert switched_on.heartbeat_interval == as_it_stands.heartbeat_interval
    assert load(EXAMPLE, environ=KEYS | {"GUARD_WEB__LISTEN": "127.0.0.1:9464"}).web_listen == switched_on.web_listen


def test_the_example_has_every_key_of_the_schema_and_no_other(full_example):
    schema = json_schema()
    in_schema = set(keys_of_schema(schema, schema, ""))
    in_example = set(keys_of_values(tomllib.loads(full_example.read_text()), schema, schema, ""))
    assert in_example == in_schema
    assert len(in_schema) > 60  # Of 4.4 and what belongs to it: an empty set would agree too.


def resolved(schema, node):
    return schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def keys_of_schema(schema, node, path) -> Iterator[str]:
    node = resolved(schema, node)
    if path:
        yield path
    for key, child in node.get("properties", {}).items():
        yield from keys_of_schema(schema, child, f"{path}.{key}".removeprefix("."))
    for inner in ("additionalProperties", "items"):
        if isinstance(node.get(inner), dict):
            yield from keys_of_schema(schema, node[inner], f"{path}.*")


def keys_of_values(value, schema, node, path) -> Iterator[str]:
    node = resolved(schema, node)
    if path:
        yield path
    if isinstance(value, dict) and "properties" in node:
        for key, child in value.items():
            yield from keys_of_values(child, schema, node["properties"][key], f"{path}.{key}".removeprefix("."))
    elif isinstance(value, dict) and isinstance(node.get("additionalProperties"), dict):
        for child in value.values():
            yield from keys_of_values(child, schema, node["additionalProperties"], f"{path}.*")
    elif isinstance(value, list) and "items" in node:
        for child in value:
            yield from keys_of_values(child, schema, node["items"], f"{path}.*")
