"""Mistakes in declarations fail when the registry is made, in a sentence that names the stream."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from activecampaign_dagster.streams.columns import bigint, instant, nested, text
from activecampaign_dagster.streams.consistency import DeclarationError, registry
from activecampaign_dagster.streams.declaration import (
    Beside,
    ByCreation,
    ById,
    ByOffset,
    Changes,
    Each,
    Endpoint,
    Family,
    NewestFirst,
    Pivot,
    Stream,
    Stub,
)

ID = bigint("id", "Id of the record")
CHANGED = Changes(stamp="udate", created="cdate")
BESIDE = Beside(parent="parents", include="children", array="children", owner="parent")
PIVOT = Pivot(
    column="made", child="children", label_of="label", value="value", labels="labels", label="title"
)


def a_stream(name: str = "things", **more: Any) -> Stream:
    """A declaration that can work, but for what is handed in."""
    declared: dict[str, Any] = {
        "family": Family.CRM,
        "description": "One row per thing.",
        "endpoint": Endpoint(path=name, collection=name),
        "walk": ByOffset(),
        "fields": (
            ID,
            instant("cdate", "When it was created"),
            bigint("label", "Id of a label"),
            nested("made", "What was made of children"),
            bigint("parent", "Id of the parent"),
            text("title", "Name of the thing"),
            instant("udate", "When it was updated"),
            text("value", "Value of the thing"),
        ),
    }
    return Stream(name=name, **(declared | more))


PARENTS = a_stream("parents", pivot=PIVOT)
CHILDREN = a_stream("children", beside=BESIDE, changes=CHANGED)
LABELS = a_stream("labels")
FAMILY = (PARENTS, CHILDREN, LABELS)


def without(*names: str) -> tuple[Any, ...]:
    return tuple(field for field in a_stream().fields if field.name not in names)


def of_each(path: str, **more: Any) -> Stream:
    each = Each(stream="parents", parameter="parent", **more)
    return a_stream(endpoint=Endpoint(path=path, collection="things"), each=each)


def test_declarations_that_go_together_are_found_by_name():
    streams = registry(FAMILY)
    assert list(streams) == ["parents", "children", "labels"]
    assert streams["children"] is CHILDREN


def test_a_stream_that_is_declared_once_may_be_handed_in_twice():
    assert list(registry((LABELS, LABELS))) == ["labels"]


ALONE = {
    "its name must be lower-case letters, digits and underscores": a_stream("Things"),
    "two fields share a name (DuckDB ignores case)": a_stream(
        fields=(ID, text("a", "A field"), text("A", "Another field"))
    ),
    "field 'number' (key number) is not declared": a_stream(key=("number",)),
    "field 'udate' (stamp) is not declared": a_stream(fields=without("udate"), changes=CHANGED),
    "field 'cdate' (creation stamp) is not declared": a_stream(
        fields=without("cdate"), changes=CHANGED
    ),
    "field 'cdate' (walk's stamp) is not declared": a_stream(
        fields=without("cdate"), walk=ByCreation(stamp="cdate", order="o", after="a")
    ),
    "field 'parent' (owner) is not declared": a_stream(fields=without("parent"), beside=BESIDE),
    "field 'parent' (parameter) is not declared": replace(
        of_each("parents/{parent}/things"), fields=without("parent")
    ),
    "field 'made' (pivot's column) is not declared": a_stream(fields=without("made"), pivot=PIVOT),
    "field 'isDisabled' (stub's isDisabled) is not declared": a_stream(
        stub=Stub(flag="isDisabled", fields=("id",))
    ),
    "field 'name' (stub's name) is not declared": a_stream(
        stub=Stub(flag="value", fields=("id", "name"))
    ),
    "no field tells its records apart": a_stream(key=()),
    "a walk by id needs one numeric key": a_stream(
        key=("title",), walk=ById(order="o", after="a", before="b")
    ),
    "a walk from the newest record needs `changes` to know where it stops": a_stream(
        walk=NewestFirst(stamp="udate", order="o")
    ),
    "it can be selected before a moment but not after one": a_stream(
        changes=Changes(stamp="udate", before="filters[updated_before]")
    ),
    "field 'value' is secret, but nothing can be read without it": a_stream(
        fields=(*without("value"), text("value", "A secret", secret=True)), key=("value",)
    ),
    "field 'title' takes nested records, so its type must be JSON": a_stream(
        fields=(*without("title"), text("title", "Name", nested_from="titles"))
    ),
    "its pivot's column must be JSON": a_stream(pivot=replace(PIVOT, column="value")),
    "the parameter of its path is not the one that `each` fills in": of_each("parents/{id}/things"),
}


@pytest.mark.parametrize("sentence", ALONE)
def test_a_mistake_in_a_declaration_by_itself_fails_in_a_sentence(sentence: str):
    declared = ALONE[sentence]
    with pytest.raises(DeclarationError) as caught:
        registry((declared, *FAMILY))
    assert str(caught.value) == f"stream {declared.name}: {sentence}"


def test_a_path_with_a_parameter_that_nothing_fills_in_fails():
    declared = a_stream(endpoint=Endpoint(path="parents/{parent}/things", collection="things"))
    with pytest.raises(DeclarationError, match="the parameter of its path is not the one"):
        registry((declared, *FAMILY))


def test_each_without_a_parameter_in_the_path_fails():
    with pytest.raises(DeclarationError, match="the parameter of its path is not the one"):
        registry((of_each("things"), *FAMILY))


def test_two_streams_of_one_name_fail():
    with pytest.raises(DeclarationError, match="two streams are called things"):
        registry((a_stream(), a_stream(description="Another.")))


def referring(name: str) -> tuple[Any, ...]:
    return (*without("label"), bigint("label", "Id of a label", references=name))


TOGETHER = {
    "field 'label' refers to 'nobody', which is no stream": a_stream(fields=referring("nobody")),
    "its parent 'nobody' is no stream": a_stream(beside=replace(BESIDE, parent="nobody")),
    "its parent 'strangers' is no stream": replace(
        of_each("parents/{parent}/things"), each=Each(stream="strangers", parameter="parent")
    ),
    "its parent parents has no field 'number'": of_each("parents/{parent}/things", column="number"),
    "its pivot's child 'nobody' is no stream": a_stream(pivot=replace(PIVOT, child="nobody")),
    "its pivot's child children has no field 'amount'": a_stream(
        pivot=replace(PIVOT, value="amount")
    ),
    "its pivot's child children has no field 'tag'": a_stream(pivot=replace(PIVOT, label_of="tag")),
    "its pivot's labels 'nobody' is no stream": a_stream(pivot=replace(PIVOT, labels="nobody")),
    "its pivot's labels labels has no field 'name'": a_stream(pivot=replace(PIVOT, label="name")),
    "its pivot's child children does not come beside its pages": a_stream(pivot=PIVOT),
    "its parent children is itself a child": a_stream(beside=replace(BESIDE, parent="children")),
}


@pytest.mark.parametrize("sentence", TOGETHER)
def test_declarations_that_do_not_go_together_fail_in_a_sentence(sentence: str):
    with pytest.raises(DeclarationError) as caught:
        registry((*FAMILY, TOGETHER[sentence]))
    assert str(caught.value) == f"stream things: {sentence}"
