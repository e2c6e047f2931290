"""Which statement, and so which rule, a refusal of nft speaks of."""

from __future__ import annotations

from appliance.control.kernel.batch import locate, statements

BATCH = """\
add counter inet reef r_R-7
add chain inet reef r_R-7
add rule inet reef r_R-7 counter name r_R-7
add rule inet reef r_R-7 jump forward
"""
DECLARED = """\
table inet reef {
\tchain r_R-1 {
\t\taccept
\t}
\tchain forward {
\t\ttype filter hook forward priority filter; policy drop;
\t\tqueue num 0
\t}
}
"""


def test_a_refused_statement_names_its_rule() -> None:
    refused = locate(
        BATCH, "/run/x/refused.nft:4:1-37: Error: Could not process rule: Operation not supported\nadd rule"
    )
    assert refused.rule == "R-7"
    assert refused.statement == "add rule inet reef r_R-7 jump forward"
    assert "rule R-7: Could not process rule: Operation not supported" in str(refused)


def test_a_statement_of_no_rule_names_none() -> None:
    refused = locate(DECLARED, "x:7:3-13: Error: Could not process rule: No such file or directory")
    assert (refused.rule, refused.statement) == ("", "queue num 0")


def test_a_statement_inside_a_declared_chain_names_its_rule() -> None:
    assert locate(DECLARED, "x:3:3-8: Error: whatever").rule == "R-1"


def test_a_refusal_without_a_place_is_told_as_it_is() -> None:
    assert str(locate(BATCH, "Error: out of memory")) == "the kernel refuses the ruleset: out of memory"


def test_statements_are_lines_that_say_something() -> None:
    assert statements(BATCH) == 4
    assert statements(DECLARED) == 6
    assert statements("") == 0
