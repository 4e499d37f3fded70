"""docs/exchanges.md says of each exchange what the code says, and the code what its server of the contract suite shows.

`PYTHONPATH=tests/venue_contract python tests/venues/test_capabilities.py` writes the matrix into the document.
"""

from importlib.util import find_spec
from pathlib import Path

import pytest
from exchanges import SERVERS, server_of

from guard.venues import SUPPORTED
from guard.venues.capabilities import EXCHANGES, GENERIC, capabilities_of, facts_of, page

DOCUMENT = Path(__file__).parents[2] / "docs/exchanges.md"
BEGIN, END = "<!-- matrix -->\n", "<!-- /matrix -->"


def test_the_matrix_in_the_document_is_what_the_code_says():
    text = DOCUMENT.read_text()
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == page().strip()


def test_every_exchange_that_is_opened_stands_in_the_matrix_and_no_other():
    stated = {*SUPPORTED, GENERIC}
    assert set(EXCHANGES) == stated
    folder = Path(find_spec("guard.venues.capabilities").origin).parent
    assert {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"} == stated


@pytest.mark.parametrize("exchange", SUPPORTED)
def test_the_readme_names_every_write_and_the_example_config_every_exchange(exchange):
    readme, example = (DOCUMENT.parents[1] / name for name in ("README.md", "config.example.toml"))
    for rule in facts_of(exchange).writes:
        assert f"`{rule.method} {rule.path}`" in readme.read_text()
    guarded = example.read_text().partition("Guarded: ")[2].partition(".")[0]
    assert exchange in guarded.split(", ")


@pytest.mark.parametrize("exchange", SERVERS)
def test_what_is_said_by_hand_is_what_the_contract_suite_runs(exchange):
    server = server_of(exchange)
    one, facts = capabilities_of(server.exchange), facts_of(server.exchange)
    assert one.has_inverse == ("inverse" not in server.lacks)
    assert one.has_hedge == ("hedge" not in server.lacks)
    assert one.tells_ip_binding == ("ip" not in server.lacks)
    assert facts.hears_account == ("account news" not in server.lacks)
    if exchange == server.exchange:  # Of another kind of account the known limits say how it differs.
        assert one.tells_auto_margin == ("auto margin" not in server.lacks)
        assert one.requests_per_cycle == server.reads_per_cycle
        assert bool(facts.terms.history_kept) == ("entries" not in server.lacks)
    assert {server.sample.currency, server.other.currency} & set(one.settle_currencies)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_an_exchange_is_guarded_only_with_a_write_a_table_of_its_answers_and_a_fence(exchange):
    one, facts = capabilities_of(exchange), facts_of(exchange)
    guarded = bool(one.guarded)
    assert guarded == bool(facts.writes) == (one.answers is not None and bool(one.answers.refusals))
    assert guarded == bool(facts.terms.fence)
    assert guarded == (facts.reads_stops and facts.reads_endings)
    assert not facts.terms.test_host, "made for the real exchange"
    assert one.verified
    assert one.known_limits


if __name__ == "__main__":
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{page().strip()}\n\n{END}{rest.partition(END)[2]}")
