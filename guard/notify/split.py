"""Cutting a long text into parts that a channel takes, without losing a character. Sizes are in UTF-16 units."""


def split(text: str, *, size_max: int) -> tuple[str, ...]:
    """Return parts of at most `size_max` units (Telegram counts in these) whose concatenation is `text`.

    Parts end at line ends where a line fits, else at a space, else anywhere between two characters.
    """
    parts: list[str] = []
    rest = text
    while units(rest) > size_max:
        longest = head(rest, size_max)
        cut = longest.rfind("\n") + 1 or longest.rfind(" ") + 1 or len(longest)
        parts.append(rest[:cut])
        rest = rest[cut:]
    return (*parts, rest)


def units(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)


def head(text: str, size_max: int) -> str:
    """Return the longest beginning that fits, at least one character."""
    size = 0
    for index, character in enumerate(text):
        size += 2 if character > "\uffff" else 1
        if size > size_max:
            return text[: max(index, 1)]
    return text
