"""Where secrets may come from, who may read them, and that no error repeats one."""

import os
from pathlib import Path

import pytest

from guard.config import load, secret_files
from guard.errors import ConfigError

ACCOUNT = '[accounts.main]\nexchange = "binanceusdm"\n'
VARIABLES = {"GUARD_ACCOUNTS__MAIN__API_KEY": "key-by-variable", "GUARD_ACCOUNTS__MAIN__SECRET": "secret-by-variable"}


def write(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture
def credentials(tmp_path):
    directory = tmp_path / "credentials"
    directory.mkdir()
    for key in ("api_key", "secret", "password"):
        write(directory / f"accounts__main__{key}", f"{key}-by-credential\n", 0o440)
    return directory


def problems(config, **environ):
    with pytest.raises(ConfigError) as refused:
        load(config, environ=environ)
    return refused.value.problems


def test_credentials_fill_in_what_the_file_leaves_out(tmp_path, credentials):
    config = write(tmp_path / "config.toml", ACCOUNT, 0o644)
    settings = load(config, environ={"CREDENTIALS_DIRECTORY": str(credentials)})
    venue = settings.accounts["main"].venue
    assert (venue.api_key, venue.secret, venue.password) == (
        "api_key-by-credential", "secret-by-credential", "password-by-credential",
    )  # fmt: skip
    assert not [warning for warning in settings.warnings if "api_key" in warning]


def test_container_secrets_are_found_and_credentials_win_over_them(tmp_path, credentials, monkeypatch):
    container = tmp_path / "run_secrets"
    container.mkdir()
    write(container / "accounts__main__api_key", "key-by-container", 0o444)
    write(container / "accounts__main__secret", "secret-by-container", 0o444)
    monkeypatch.setattr(secret_files, "CONTAINER_SECRETS", container)
    config = write(tmp_path / "config.toml", ACCOUNT)
    assert load(config, environ={}).accounts["main"].venue.api_key == "key-by-container"
    both = load(config, environ={"CREDENTIALS_DIRECTORY": str(credentials)})
    assert both.accounts["main"].venue.api_key == "api_key-by-credential"


def test_other_peoples_container_secrets_are_left_alone(tmp_path, monkeypatch):
    container = tmp_path / "run_secrets"
    container.mkdir()
    (container / "mode").write_text("act")
    (container / "keystore.p12").write_bytes(
        b"\xff\xfe\x00"
    )  # pydantic-settings 2.16.3 would end in UnicodeDecodeError.
    (container / "kubernetes.io").mkdir()
    monkeypatch.setattr(secret_files, "CONTAINER_SECRETS", container)
    settings = load(write(tmp_path / "config.toml", ACCOUNT), environ=VARIABLES)
    assert settings.mode.word == "observe"


def test_a_credential_with_a_typo_in_its_name_is_an_error(tmp_path, credentials):
    write(credentials / "accounts__mian__api_key", "x")
    (found,) = problems(write(tmp_path / "config.toml", ACCOUNT), CREDENTIALS_DIRECTORY=str(credentials))
    place, text = f"{credentials}/accounts__mian__api_key", "this credential names no secret of the config file"
    assert found == f"{place}: {text}, did you mean 'accounts__main__api_key'?"


def test_the_environment_wins_over_credentials_and_they_over_the_file(tmp_path, credentials):
    config = write(tmp_path / "config.toml", ACCOUNT + 'api_key = "key-by-file"\nsecret_file = "nowhere"\n')
    environ = {"CREDENTIALS_DIRECTORY": str(credentials), "GUARD_ACCOUNTS__MAIN__API_KEY": "key-by-variable"}
    venue = load(config, environ=environ).accounts["main"].venue
    assert (venue.api_key, venue.secret) == ("key-by-variable", "secret-by-credential")


def test_keys_from_variables_come_with_a_warning_that_names_each(tmp_path):
    settings = load(write(tmp_path / "config.toml", ACCOUNT), environ=VARIABLES)
    warned = [warning for warning in settings.warnings if "/proc" in warning]
    assert [warning.split(":")[0] for warning in warned] == [f"env {name}" for name in sorted(VARIABLES)]
    assert not any(value in warning for warning in warned for value in VARIABLES.values())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o666, 0o777])
def test_keys_in_a_file_that_others_can_open_are_refused_with_the_remedy(tmp_path, mode):
    config = write(tmp_path / "config.toml", ACCOUNT + 'api_key = "canary-1"\nsecret = "canary-2"\n', mode)
    assert problems(config) == (
        (
            f"{config}:3: accounts.main.api_key: a secret stands in this file and others on this machine can open it "
            f"(mode {mode:04o}), expected `chmod 600 {config}`"
        ),
    )


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_keys_in_a_file_of_its_owner_are_fine(tmp_path, mode):
    config = write(tmp_path / "config.toml", ACCOUNT + 'api_key = "key-by-file"\nsecret = "x"\n', mode)
    assert load(config, environ={}).accounts["main"].venue.api_key == "key-by-file"


def test_a_secret_file_is_found_beside_the_config_and_loses_its_line_end(tmp_path, monkeypatch):
    config = write(tmp_path / "config.toml", ACCOUNT + 'api_key_file = "key"\nsecret_file = "sub/secret"\n')
    (tmp_path / "sub").mkdir()
    write(tmp_path / "key", "key-by-file\r\n")
    write(tmp_path / "sub" / "secret", "-----BEGIN-----\nabc\n-----END-----\n", 0o400)
    monkeypatch.chdir("/")
    venue = load(config, environ={}).accounts["main"].venue
    assert (venue.api_key, venue.secret) == ("key-by-file", "-----BEGIN-----\nabc\n-----END-----")


def test_secret_files_that_cannot_be_used_say_why_and_where(tmp_path):
    names = ("open", "empty", "binary", "huge", "missing", "directory")
    accounts = "".join(
        f'[accounts.{name}]\nexchange = "binanceusdm"\napi_key_file = "{name}"\nsecret = "s"\n' for name in names
    )
    config = write(tmp_path / "config.toml", accounts)
    write(tmp_path / "open", "canary", 0o644)
    write(tmp_path / "empty", "\n")
    write(tmp_path / "huge", "canary" * 20_000)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "binary").chmod(0o600)
    (tmp_path / "directory").mkdir()
    assert problems(config) == (
        f"{config}:19: accounts.missing.api_key_file: no such file in {tmp_path}",
        f"{config}:23: accounts.directory.api_key_file: that is no file",
        f"{tmp_path}/binary: accounts.binary.api_key: is not text",
        f"{tmp_path}/empty: accounts.empty.api_key: is empty, expected the secret itself",
        f"{tmp_path}/huge: accounts.huge.api_key: {tmp_path}/huge is larger than any key",
        (
            f"{tmp_path}/open: accounts.open.api_key: others on this machine can open it (mode 0644), "
            f"expected `chmod 600 {tmp_path}/open`"
        ),
    )


def test_a_circle_of_links_is_a_problem_of_the_key_that_names_it(tmp_path):
    config = write(tmp_path / "config.toml", ACCOUNT + 'api_key_file = "circle"\nsecret = "s"\n')
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (found,) = problems(config)
    assert found.startswith(f"{config}:3: accounts.main.api_key_file: cannot be read: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every file")
def test_a_secret_file_that_is_closed_to_us_says_so(tmp_path):
    config = write(tmp_path / "config.toml", ACCOUNT + 'api_key_file = "closed"\nsecret = "s"\n')
    write(tmp_path / "closed", "canary", 0o000)
    assert problems(config) == (f"{config}:3: accounts.main.api_key_file: cannot be read: Permission denied",)


def test_a_credential_may_be_named_by_path_although_its_group_can_read_it(tmp_path, credentials):
    named = credentials / "accounts__main__api_key"
    config = write(tmp_path / "config.toml", ACCOUNT + f'api_key_file = "{named}"\nsecret = "s"\n')
    named.rename(credentials / "a_key")
    config.write_text(config.read_text().replace("accounts__main__api_key", "a_key"))
    settings = load(config, environ={"CREDENTIALS_DIRECTORY": str(credentials)})
    assert settings.accounts["main"].venue.api_key == "api_key-by-credential"


def test_a_link_out_of_the_credentials_is_judged_by_where_it_leads(tmp_path, credentials):
    (credentials / "accounts__main__api_key").unlink()
    (credentials / "accounts__main__api_key").symlink_to(write(tmp_path / "open", "canary", 0o644))
    found = problems(write(tmp_path / "config.toml", ACCOUNT), CREDENTIALS_DIRECTORY=str(credentials))
    assert len(found) == 1
    assert "chmod 600" in found[0]


def test_a_key_pasted_where_a_file_belongs_is_not_repeated(tmp_path):
    config = write(tmp_path / "config.toml", ACCOUNT + 'api_key_file = "canary/+key=="\nsecret = 5\npassword = ""\n')
    found = problems(config)
    assert found == (
        f"{config}:3: accounts.main.api_key_file: no such file",
        f"{config}:4: accounts.main.secret: found a value (not shown), expected text in quotes",
        f"{config}:5: accounts.main.password: is empty, expected the secret itself",
    )


def test_a_key_and_its_file_together_are_refused(tmp_path):
    config = write(tmp_path / "config.toml", ACCOUNT + 'api_key = "canary"\napi_key_file = "key"\nsecret = "s"\n')
    assert problems(config) == (
        f"{config}:4: accounts.main.api_key_file: api_key is written too, expected one of them",
    )


@pytest.mark.parametrize(
    "secret",
    ["canary", "whsec_", "whsec_Y2FuYXJ5", "whsec_not base64 canary", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"],
    ids=["no prefix", "nothing", "6 bytes", "not base64", "prefix left out"],
)
def test_a_webhook_secret_that_could_not_sign_is_refused(tmp_path, secret):
    hook = f'[notify.webhook.ops]\nurl = "https://example.org"\nsecret = "{secret}"\n'
    config = write(tmp_path / "config.toml", ACCOUNT + hook)
    assert problems(config, **VARIABLES) == (
        (
            f"{config}:5: notify.webhook.ops.secret: found a value (not shown), "
            "expected 'whsec_' and the base64 of 24 to 64 random bytes"
        ),
    )


def test_a_bot_token_in_place_of_the_chat_is_not_repeated(tmp_path):
    chat = '[notify.telegram.me]\nchat_id = "123456:canary"\ntoken = "t"\n'
    config = write(tmp_path / "config.toml", ACCOUNT + chat)
    (found,) = problems(config, **VARIABLES)
    assert found == f"{config}:4: notify.telegram.me.chat_id: looks like the bot's token, expected the chat's number"


def test_every_secret_is_known_to_the_log(tmp_path):
    text = (
        ACCOUNT
        + 'password = "the-passphrase"\n[notify.telegram.me]\nchat_id = 1\ntoken = "the-token"\n'
        + '[notify.webhook.ops]\nurl = "https://example.org/the-path"\nsecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"\n'
    )
    settings = load(write(tmp_path / "config.toml", text), environ=VARIABLES)
    assert settings.secrets() >= {
        "key-by-variable", "secret-by-variable", "the-passphrase", "the-token", "https://example.org/the-path", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
    }  # fmt: skip
    assert not any(secret in repr(settings) for secret in settings.secrets())


def test_a_config_path_is_shown_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "mine.toml", "mode = 1\n")
    assert problems(Path("mine.toml"))[0].startswith("mine.toml:1: ")


def test_passwords_inside_urls_are_known_to_the_log(tmp_path):
    text = (
        ACCOUNT
        + '[accounts.main.ccxt]\nhttpsProxy = "http://me:pass%2Fword@proxy:3128"\n'
        + '[accounts.main.ccxt.urls.api]\nx = "https://you:deep-word@example.org/y"\n'
        + '[notify.telegram.me]\nchat_id = 1\ntoken = "t"\napi_url = "https://bot:api-word@example.org"\n'
    )
    settings = load(write(tmp_path / "config.toml", text), environ=VARIABLES)
    assert settings.secrets() >= {"pass%2Fword", "pass/word", "deep-word", "api-word"}


def test_pydantic_settings_logs_no_source(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PYDANTIC_SETTINGS_DEBUG", "1")
    caplog.set_level("DEBUG")
    load(write(tmp_path / "config.toml", ACCOUNT + 'password = "canary"\n'), environ=VARIABLES)
    assert "canary" not in caplog.text


PASTED = "canary-9-pasted-2-twice-1234567890"


@pytest.mark.parametrize(
    "again",
    [f'[ladder]\nwatch = {{ distance = "{PASTED}" }}', f'[web]\nlisten = "{PASTED}"', f'mode = "{PASTED}"', f'[[rules]]\n"{PASTED}" = 1'],
    ids=["as a distance", "as an address", "as a mode", "as a key"],
)  # fmt: skip
def test_a_secret_that_was_pasted_a_second_time_is_not_repeated_from_there(tmp_path, again):
    keys = f'api_key = "{PASTED}"\nsecret = "another-secret-0987654321"\n'
    text = again + "\n" + ACCOUNT + keys if again.startswith("mode") else ACCOUNT + keys + again
    said = problems(write(tmp_path / "config.toml", text))
    assert said
    assert PASTED not in " ".join(said)
    assert "***" in " ".join(said)


@pytest.mark.parametrize("spoiled", [PASTED.replace("twice", "tw%ice"), PASTED[3:-2], PASTED + "x"], ids=str)
def test_a_secret_that_was_pasted_with_a_letter_off_is_not_repeated_in_long_pieces(tmp_path, spoiled):
    keys = f'api_key = "{PASTED}"\nsecret = "another-secret-0987654321"\n'
    said = " ".join(problems(write(tmp_path / "config.toml", f'mode = "{spoiled}"\n{ACCOUNT}{keys}')))
    assert not [PASTED[at : at + 10] for at in range(len(PASTED) - 9) if PASTED[at : at + 10] in said]
    assert "mode: found" in said


def test_a_long_secret_is_not_repeated_in_part_where_a_long_value_is_cut(tmp_path):
    long = "canary-" + "0123456789abcdef" * 8
    said = problems(write(tmp_path / "config.toml", f'mode = "{long}"\n{ACCOUNT}api_key = "k"\nsecret = "{long}"\n'))
    assert "canary" not in " ".join(said)


def test_a_secret_from_a_variable_is_not_repeated_from_the_file(tmp_path):
    environ = {"GUARD_ACCOUNTS__MAIN__API_KEY": PASTED, "GUARD_ACCOUNTS__MAIN__SECRET": "another-secret-0987654321"}
    said = problems(write(tmp_path / "config.toml", f'mode = "{PASTED}"\n{ACCOUNT}'), **environ)
    assert PASTED not in " ".join(said)
