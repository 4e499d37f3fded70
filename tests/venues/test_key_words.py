"""A right that an exchange adds after this was written must not pass for harmless."""

import pytest

from guard.venues.base import VenueBase
from guard.venues.protocol import KeyScopes, KeyVerdict


class Asked(VenueBase):
    """A venue whose exchange has answered."""

    def __init__(self, verdict: KeyVerdict, *scopes: str) -> None:
        self.found = KeyScopes(verdict=verdict, scopes=scopes, ip_restricted=True, text="as asked")

    async def _ask_key_scopes(self) -> KeyScopes:
        return self.found


@pytest.mark.parametrize("word", ["sub_withdraw", "Wallet.SubMemberTransferV2", "fastWithdrawal"])
async def test_a_new_word_for_taking_money_away_makes_no_safe_key(word):
    scopes = await Asked(KeyVerdict.SAFE, "trade", word).key_scopes()
    assert (scopes.verdict, scopes.scopes) == (KeyVerdict.TOO_POWERFUL, ("trade", word))
    assert scopes.text == f"the key has the right {word!r}, which may take money away: make one without it"


@pytest.mark.parametrize(
    ("verdict", "scopes"),
    [
        (KeyVerdict.SAFE, ("read", "trade")),
        (KeyVerdict.READ_ONLY, ("transfer_history",)),
        (KeyVerdict.TOO_POWERFUL, ("withdraw",)),
        (KeyVerdict.UNVERIFIABLE, ()),
    ],
)
async def test_any_other_verdict_stays(verdict, scopes):
    asked = Asked(verdict, *scopes)
    assert await asked.key_scopes() is asked.found
