"""Reads secrets from files, and judges who else could."""

import stat
from collections.abc import Mapping
from pathlib import Path

CONTAINER_SECRETS = Path("/run/secrets")  # Where Docker and Podman put them, readable inside the container only.
_SIZE_MAX = 65_536  # Bytes: more is not a key but a wrong path.
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class SecretFileError(ValueError):
    """A secret file that cannot be used. `content`: its content is to blame, not the way to it."""

    def __init__(self, text: str, *, content: bool = False) -> None:
        super().__init__(text)
        self.content = content


def secret_directories(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the directories whose files the service manager or the container engine guards; the first wins."""
    named = environ.get("CREDENTIALS_DIRECTORY")
    return (Path(named), CONTAINER_SECRETS) if named else (CONTAINER_SECRETS,)


def credential_names(directory: Path) -> tuple[str, ...]:
    """Return what a secret directory holds, nothing of it opened; nothing where there is no such directory."""
    try:
        return tuple(sorted(path.name for path in directory.iterdir()))
    except (OSError, ValueError):  # ValueError: the environment named no path.
        return ()


def read_secret(path: Path, trusted: tuple[Path, ...]) -> str:
    """Return a secret without the line end after it. Raises SecretFileError; no text holds any of the content."""
    try:
        resolved = path.resolve(strict=True)
        if not resolved.is_file():
            raise SecretFileError("that is no file")
        if not any(resolved.is_relative_to(directory.resolve()) for directory in trusted):
            refuse_readable_by_others(resolved)
        if resolved.stat().st_size > _SIZE_MAX:
            raise SecretFileError(f"{path} is larger than any key", content=True)
        text = resolved.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        # The path itself is not repeated: it may be a key that was pasted in the wrong place.
        where = f" in {path.parent}" if path.parent.is_dir() else ""
        raise SecretFileError(f"no such file{where}") from None
    except (OSError, RuntimeError) as error:  # Before Python 3.13 a circle of links is a RuntimeError.
        reason = getattr(error, "strerror", None) or "its links lead round in a circle"
        raise SecretFileError(f"cannot be read: {reason}") from None
    except UnicodeDecodeError:
        raise SecretFileError("is not text", content=True) from None
    if not text:
        raise SecretFileError("is empty, expected the secret itself", content=True)
    return text


def refuse_readable_by_others(path: Path) -> None:
    """Raise SecretFileError with the remedy when group or others may open a file."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        raise SecretFileError(
            f"others on this machine can open it (mode {mode:04o}), expected `chmod 600 {path}`", content=True
        )
