"""Filtering the list: by metadata in every form that a client is known to send, and by model."""

from __future__ import annotations

from urllib.parse import quote

from hansard.conformance import expect
from hansard.conformance.checks import CAPTURED, OFFICIAL, RECORDED, Check, check, decision
from hansard.conformance.families.pages import ids
from hansard.conformance.probe import FIRST_HALF, MARK, SHELF, Probe

# What the two completions of every check here carry beside the mark, and what tells them apart.
WANTED = {"customer 42": "ok=yes&no", "k[2]": "ü", "Case": "Upper", "empty": ""}
OTHER = {"customer 42": "no", "k[2]": "u", "case": "upper", "empty": "full"}


def _finds(name: str, title: str, *query: tuple[str, str], evidence: tuple[str, ...] = (OFFICIAL, RECORDED)) -> Check:
    """The query finds the wanted completion and not the other one."""

    def run(probe: Probe) -> None:
        wanted = probe.stored(metadata=WANTED)
        probe.stored(metadata=OTHER)
        expect.equal(ids(probe.mine(*query)), [wanted["id"]], "ids of the page")

    return Check(name=f"list.filter_{name}", title=title, operation="list", evidence=evidence, run=run)


def _finds_none(name: str, title: str, *query: tuple[str, str]) -> Check:
    def run(probe: Probe) -> None:
        probe.stored(metadata=WANTED)
        probe.stored(metadata=OTHER)
        expect.equal(ids(probe.mine(*query)), [], "ids of the page")

    return Check(name=f"list.filter_{name}", title=title, operation="list", evidence=(RECORDED, decision(11)), run=run)


METADATA = (
    _finds("by_metadata", "``metadata[k]=v`` finds the completions that have this pair.", ("metadata[Case]", "Upper")),
    _finds(
        "by_two_pairs",
        "Of several pairs all must fit.",
        ("metadata[Case]", "Upper"),
        ("metadata[k[2]]", "ü"),
        evidence=(decision(11),),
    ),
    _finds_none(
        "by_two_pairs_of_two_completions",
        "A completion that has only one of the pairs does not fit.",
        ("metadata[Case]", "Upper"),
        ("metadata[empty]", "full"),
    ),
    _finds_none("is_no_search", "A part of the value does not fit.", ("metadata[Case]", "Upp")),
    _finds_none("tells_case_in_values", "Upper and lower case differ in values.", ("metadata[Case]", "upper")),
    _finds_none("tells_case_in_keys", "Upper and lower case differ in keys.", ("metadata[CASE]", "Upper")),
    _finds_none("by_an_unknown_key", "A key that no completion has finds none.", ("metadata[unknown]", "v")),
    _finds(
        "by_an_empty_value",
        "``metadata[k]=`` finds only what has the empty value.",
        ("metadata[empty]", ""),
        evidence=(CAPTURED, decision(11)),
    ),
    _finds(
        "by_a_repeated_key",
        "Of a key that comes twice the last value counts.",
        ("metadata[Case]", "Lower"),
        ("metadata[Case]", "Upper"),
        evidence=(decision(11),),
    ),
    _finds(
        "with_signs_encoded",
        "Spaces, & and = in keys and values come percent-encoded.",
        ("metadata[customer 42]", "ok=yes&no"),
        evidence=(CAPTURED,),
    ),
    _finds(
        "with_brackets_in_the_key",
        "A key may hold brackets itself.",
        ("metadata[k[2]]", "ü"),
        evidence=(CAPTURED,),
    ),
)


def _finds_spelled(name: str, title: str, query: str) -> Check:
    """As ``_finds``, for a query that is sent as it is; ``{mark}`` is the check's own."""

    def run(probe: Probe) -> None:
        wanted = probe.stored(metadata=WANTED)
        probe.stored(metadata=OTHER)
        reply = probe.list(query.replace("{mark}", probe.mark))
        expect.equal(ids(probe.accept(reply).document), [wanted["id"]], "ids of the page")

    return Check(name=f"list.filter_{name}", title=title, operation="list", evidence=(CAPTURED, decision(11)), run=run)


SPELLED = (
    _finds_spelled(
        "with_raw_brackets",
        "The .NET client sends the brackets raw.",
        f"metadata[{MARK}]={{mark}}&metadata[Case]=Upper",
    ),
    _finds_spelled(
        "with_plus_for_space",
        "The Python client writes a space as +.",
        f"metadata%5B{MARK}%5D={{mark}}&metadata%5Bcustomer+42%5D=ok%3Dyes%26no",
    ),
    _finds_spelled(
        "with_percent_for_space",
        "The Node client writes a space as %20.",
        f"metadata%5B{MARK}%5D={{mark}}&metadata%5Bcustomer%2042%5D=ok%3Dyes%26no",
    ),
    _finds_spelled(
        "as_one_json_string",
        "Generated clients that type the filter as a string send JSON.",
        "metadata=" + quote(f'{{"{MARK}":"{{mark}}","Case":"Upper"}}').replace("%7Bmark%7D", "{mark}"),
    ),
    _finds_spelled(
        "as_one_string_of_pairs",
        "Generated clients that type the filter as a string send the pairs in one value.",
        "metadata=" + quote(f"metadata[{MARK}]={{mark}}&metadata[Case]=Upper").replace("%7Bmark%7D", "{mark}"),
    ),
)


@check("list", CAPTURED)
def filter_ignores_an_empty_bare_value(probe: Probe) -> None:
    """The Node client sends ``metadata=`` for null; that filters nothing."""
    page = probe.on_shelf(("metadata", ""), ("limit", "2"))

    expect.equal(len(page["data"]), 2, "items on the page")


@check("list", decision(11))
def filter_refuses_another_bare_value(probe: Probe) -> None:
    """``metadata=v`` that is neither JSON nor pairs is refused by name."""
    expect.refusal(probe.list([("metadata", "sales")]), 400, param="metadata", code="invalid_type")


@check("list", OFFICIAL, decision(13))
def filter_counts_for_has_more(probe: Probe) -> None:
    """``has_more`` speaks of what fits the filter, not of everything."""
    page = probe.on_shelf(("metadata[half]", "one"), ("limit", str(FIRST_HALF)))

    expect.equal([len(page["data"]), page["has_more"]], [FIRST_HALF, False], "number of items, has_more")


@check("list", OFFICIAL)
def filter_holds_on_the_next_page(probe: Probe) -> None:
    """A page after a cursor keeps to the filter."""
    first = probe.on_shelf(("metadata[half]", "one"), ("limit", "2"), ("order", "asc"))
    second = probe.on_shelf(("metadata[half]", "one"), ("order", "asc"), ("after", ids(first)[-1]))

    shelf = [one["id"] for one in probe.session.shelf()]
    expect.equal(ids(first) + ids(second), shelf[:FIRST_HALF], "ids of both pages")


@check("list", OFFICIAL, needs=("update",))
def filter_sees_updates(probe: Probe) -> None:
    """After an update the new metadata is found, the old is not."""
    made = probe.stored(metadata={"state": "old"})
    probe.accept(probe.update(made["id"], {"metadata": {MARK: probe.mark, "state": "new"}}))

    expect.equal(ids(probe.mine(("metadata[state]", "new"))), [made["id"]], "ids found by the new value")
    expect.equal(ids(probe.mine(("metadata[state]", "old"))), [], "ids found by the old value")


@check("list", OFFICIAL, RECORDED, decision(12))
def filter_by_model(probe: Probe) -> None:
    """``model`` finds completions by the model in their replies."""
    model = probe.session.shelf()[0]["model"]

    expect.equal(len(probe.on_shelf(("model", model), ("limit", "100"))["data"]), SHELF, "items on the page")


@check("list", OFFICIAL, decision(12))
def filter_by_the_requested_model(probe: Probe) -> None:
    """``model`` finds completions by the name that the client asked for."""
    found = probe.on_shelf(("model", probe.model), ("limit", "100"))

    expect.equal(len(found["data"]), SHELF, "items on the page")


@check("list", OFFICIAL)
def filter_by_an_unknown_model(probe: Probe) -> None:
    """A model that answered nothing finds nothing."""
    expect.equal(ids(probe.on_shelf(("model", "no-such-model"))), [], "ids of the page")
