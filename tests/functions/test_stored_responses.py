"""Stored responses and conversations, as the OpenAI SDK's own types see them; every id is one account's alone."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import openai
import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.refusals import refused
from jatevo_testing.world import Customer, World

from jatevo.application.histories import Histories
from jatevo.application.keeping import ResponseKeeper
from jatevo.application.ports import StoreUnavailable
from jatevo.application.responses import RECORDS_KEPT_S, Item, Resolved, Turn
from jatevo.domain.refusals import Code, Refusal
from jatevo_account.handler import create_app

RESERVATION = "6vXK-0aZ_bcdefgh"
ID = f"resp_{RESERVATION}"
USER: Item = {"type": "message", "role": "user", "content": "hello"}
SAID: Item = {
    "id": f"msg_{RESERVATION}0",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "hi", "annotations": []}],
}


def answer(name: str = ID, **more: Any) -> dict[str, Any]:
    return {"id": name, "object": "response", "model": "test-model", "status": "completed", "output": [SAID], **more}


class Shop:
    """The account app, its clients, and what an answer is kept with."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.histories: Histories = world.gateway.histories()
        self.transport = httpx.ASGITransport(create_app(world.gateway), raise_app_exceptions=False)
        self.clients: list[httpx.AsyncClient] = []

    def http(self, customer: Customer) -> httpx.AsyncClient:
        client = httpx.AsyncClient(transport=self.transport, base_url="http://gateway", headers=customer.headers)
        self.clients.append(client)
        return client

    def sdk(self, customer: Customer) -> openai.AsyncOpenAI:
        http: Any = self.http(customer)  # the SDK is typed for its own make of it
        return openai.AsyncOpenAI(
            api_key=customer.secret, base_url="http://gateway/v1", http_client=http, max_retries=0
        )

    async def kept(self, customer: Customer, *own: Item, name: str = ID, prior: tuple[Item, ...] = ()) -> None:
        await self.keep(customer, Resolved(prior, own or (USER,)), answer(name))

    async def keep(
        self, customer: Customer, resolved: Resolved, body: dict[str, Any], turn: Turn | None = None
    ) -> bool:
        keeper = self.histories.keeper(customer.account, turn or Turn(resolved.own), resolved)
        assert isinstance(keeper, ResponseKeeper)
        return await keeper.keep(body)

    async def resolved(self, customer: Customer, *own: Item, **more: Any) -> Resolved | Refusal:
        return await self.histories.resolve(customer.account.id, Turn(own, **more))


@pytest.fixture
async def shop(world: World) -> AsyncIterator[Shop]:
    made = Shop(world)
    yield made
    for client in made.clients:
        await client.aclose()


async def test_a_kept_response_is_got_word_for_word_and_deleted_once(shop: Shop) -> None:
    customer = shop.world.customer()
    await shop.kept(customer)
    http = shop.http(customer)

    got = await http.get(f"/v1/responses/{ID}")
    assert (got.status_code, got.json()) == (200, answer())
    assert got.headers["cache-control"] == "no-store"
    assert (await http.delete(f"/v1/responses/{ID}")).json() == {"id": ID, "object": "response", "deleted": True}
    for again in (await http.get(f"/v1/responses/{ID}"), await http.delete(f"/v1/responses/{ID}")):
        assert refused(again, 404, "not_found")


ROUTES = (
    ("GET", f"/v1/responses/{ID}"),
    ("DELETE", f"/v1/responses/{ID}"),
    ("GET", f"/v1/responses/{ID}/input_items"),
    ("POST", f"/v1/responses/{ID}/cancel"),
)


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_another_accounts_response_is_as_if_it_did_not_exist(shop: Shop, method: str, path: str) -> None:
    owner, other = shop.world.customer(), shop.world.customer()
    await shop.kept(owner)
    theirs = await shop.http(other).request(method, path)
    nobodys = await shop.http(other).request(method, path.replace(RESERVATION, "0" * 16))
    assert refused(theirs, 404, "not_found")
    assert theirs.text.replace(RESERVATION, "0" * 16) == nobodys.text
    assert (await shop.http(owner).get(f"/v1/responses/{ID}")).status_code == 200


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_a_key_nothing_is_told(shop: Shop, method: str, path: str) -> None:
    await shop.kept(shop.world.customer())
    async with httpx.AsyncClient(transport=shop.transport, base_url="http://gateway") as stranger:
        assert refused(await stranger.request(method, path), 401, "invalid_api_key")


async def test_other_keys_of_the_account_reach_it(shop: Shop) -> None:
    customer = shop.world.customer()
    await shop.kept(customer)
    sibling = shop.world.key_of(customer.account)
    assert (await shop.http(sibling).get(f"/v1/responses/{ID}")).status_code == 200


async def test_what_only_background_responses_have_is_refused(shop: Shop) -> None:
    customer = shop.world.customer()
    await shop.kept(customer)
    http = shop.http(customer)
    cancelled = await http.post(f"/v1/responses/{ID}/cancel")
    assert refused(cancelled, 400, "invalid_request")
    assert "Cannot cancel a synchronous response" in cancelled.text
    streamed = await http.get(f"/v1/responses/{ID}", params={"stream": "true"})
    assert refused(streamed, 400, "unsupported_parameter", param="stream")


async def test_include_is_checked(shop: Shop) -> None:
    customer = shop.world.customer()
    await shop.kept(customer)
    got = await shop.sdk(customer).responses.retrieve(ID, include=["reasoning.encrypted_content"])
    assert got.output_text == "hi"
    wrong = await shop.http(customer).get(f"/v1/responses/{ID}", params={"include[]": "everything"})
    assert refused(wrong, 400, "invalid_value", param="include")


async def test_input_items_are_paged_and_each_comes_once(shop: Shop) -> None:
    customer = shop.world.customer()
    own = tuple({**USER, "content": str(place)} for place in range(25))
    await shop.kept(customer, *own, prior=(SAID,))
    sdk = shop.sdk(customer)

    newest = [item async for item in sdk.responses.input_items.list(ID, limit=10)]
    oldest = [item async for item in sdk.responses.input_items.list(ID, limit=10, order="asc")]

    assert oldest == newest[::-1]
    assert len({item.id for item in oldest}) == 26
    assert oldest[0].id == SAID["id"]
    assert [item.content[0].text for item in oldest[1:]] == [str(place) for place in range(25)]  # type: ignore[union-attr, index]
    page = await sdk.responses.input_items.list(ID)
    assert (len(page.data), page.has_more) == (20, True)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"order": "up"}, "order"),
        ({"after": "msg_none"}, "after"),
        ({"before": "msg_none"}, "before"),
        ({"include": "x"}, "include"),
    ],
)
async def test_a_wrong_page_is_refused_by_name(shop: Shop, query: dict[str, str], param: str) -> None:
    customer = shop.world.customer()
    await shop.kept(customer)
    got = await shop.http(customer).get(f"/v1/responses/{ID}/input_items", params=query)
    assert got.status_code == 400
    assert got.json()["error"]["param"] == param


async def test_going_on_sees_all_that_came_before(shop: Shop) -> None:
    customer = shop.world.customer()
    await shop.kept(customer)
    resolved = await shop.resolved(customer, USER, previous_response_id=ID)
    assert isinstance(resolved, Resolved)
    assert [item.get("role") for item in resolved.prior] == ["user", "assistant"]
    assert resolved.own == (USER,)


async def test_two_who_go_on_from_one_response_do_not_meet(shop: Shop) -> None:
    customer = shop.world.customer()
    await shop.kept(customer)
    for name in ("1" * 16, "2" * 16):
        resolved = await shop.resolved(customer, {**USER, "content": name}, previous_response_id=ID)
        assert isinstance(resolved, Resolved)
        await shop.keep(customer, resolved, answer(f"resp_{name}"))
    for name in ("1" * 16, "2" * 16):
        record = await shop.histories.responses.get(customer.account.id, f"resp_{name}")
        assert record is not None
        assert [item["content"] for item in record.own_items] == [name]
        assert len(record.prior_items) == 2


async def test_deleting_a_response_leaves_what_went_on_from_it_whole(shop: Shop) -> None:
    customer = shop.world.customer()
    await shop.kept(customer)
    resolved = await shop.resolved(customer, USER, previous_response_id=ID)
    assert isinstance(resolved, Resolved)
    await shop.histories.responses.delete(customer.account.id, ID)
    assert await shop.keep(customer, resolved, answer("resp_" + "1" * 16))
    again = await shop.resolved(customer, USER, previous_response_id="resp_" + "1" * 16)
    assert isinstance(again, Resolved)
    assert len(again.prior) == 4
    assert isinstance(await shop.resolved(customer, USER, previous_response_id=ID), Refusal)


@pytest.mark.parametrize("name", ["", "resp_", "resp_unknown", "conv_x", ID + "#", "resp_\ud800", "resp_" * 1000])
async def test_an_unknown_previous_response_is_refused_as_openai_does(shop: Shop, name: str) -> None:
    customer = shop.world.customer()
    refusal = await shop.resolved(customer, USER, previous_response_id=name)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.param) == (Code.PREVIOUS_RESPONSE_NOT_FOUND, "previous_response_id")
    assert len(refusal.detail) < 200


async def test_another_accounts_previous_response_is_unknown(shop: Shop) -> None:
    await shop.kept(shop.world.customer())
    refusal = await shop.resolved(shop.world.customer(), USER, previous_response_id=ID)
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.PREVIOUS_RESPONSE_NOT_FOUND


async def test_a_reference_becomes_the_item_it_names(shop: Shop) -> None:
    customer = shop.world.customer()
    await shop.kept(customer)
    reference = {"type": "item_reference", "id": SAID["id"]}
    resolved = await shop.resolved(customer, USER, reference, {**USER, "content": "more"})
    assert isinstance(resolved, Resolved)
    assert [item.get("id") for item in resolved.own] == [None, SAID["id"], None]
    assert resolved.own[1] == SAID


async def test_a_reference_to_what_comes_before_anyway_adds_nothing(shop: Shop) -> None:
    customer = shop.world.customer()
    await shop.kept(customer)
    reference = {"type": "item_reference", "id": SAID["id"]}
    resolved = await shop.resolved(customer, reference, USER, previous_response_id=ID)
    assert isinstance(resolved, Resolved)
    assert resolved.own == (USER,)


@pytest.mark.parametrize("name", [SAID["id"], "msg_unknown", f"msg_{RESERVATION}7", "", "msg_\ud800"])
async def test_a_reference_to_nothing_of_the_account_is_refused(shop: Shop, name: str) -> None:
    await shop.kept(shop.world.customer())
    refusal = await shop.resolved(shop.world.customer(), USER, {"type": "item_reference", "id": name})
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.param) == (Code.NOT_FOUND, "input")


async def test_the_same_item_twice_is_refused(shop: Shop) -> None:
    twice = {**USER, "id": "msg_1"}
    refusal = await shop.resolved(shop.world.customer(), twice, twice)
    assert isinstance(refusal, Refusal)
    assert "Duplicate item" in refusal.detail


async def test_a_history_beyond_its_bounds_is_refused(shop: Shop) -> None:
    customer = shop.world.customer()
    await shop.kept(customer, *({**USER, "content": "x"} for _ in range(4090)))
    many = await shop.resolved(customer, *(USER for _ in range(6)), previous_response_id=ID)
    await shop.kept(customer, {**USER, "content": "x" * 3_500_000}, name="resp_" + "1" * 16)
    large = await shop.resolved(customer, {**USER, "content": "x" * 3_500_000}, previous_response_id="resp_" + "1" * 16)
    for refusal in (many, large):
        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.param) == (Code.CONTEXT_LENGTH_EXCEEDED, "previous_response_id")


async def test_nothing_is_kept_of_a_turn_that_says_so_or_of_an_account_that_wants_it_so(shop: Shop) -> None:
    customer = shop.world.customer()
    assert shop.histories.keeper(customer.account, Turn((USER,), store=False), Resolved((), (USER,))) is None
    private = replace(customer, account=replace(customer.account, zdr=True))
    assert not await shop.keep(private, Resolved((), (USER,)), answer())
    assert await shop.histories.responses.get(customer.account.id, ID) is None


async def test_a_store_that_fails_is_told_and_raises_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*_: object, **__: object) -> None:
        raise StoreUnavailable("down")

    customer = shop.world.customer()
    monkeypatch.setattr(shop.world.gateway.dynamodb, "retried", down)
    assert not await shop.keep(customer, Resolved((), (USER,)), answer())


async def test_a_response_ends_after_thirty_days(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    customer = shop.world.customer()
    clock = ManualClock(shop.world.gateway.clock.now_ms())
    monkeypatch.setattr(shop.world.gateway, "clock", clock)
    later = Shop(shop.world)
    await later.kept(customer)
    clock.advance(RECORDS_KEPT_S - 1)
    assert isinstance(await later.resolved(customer, USER, previous_response_id=ID), Resolved)
    clock.advance(1)
    assert isinstance(await later.resolved(customer, USER, previous_response_id=ID), Refusal)


async def test_a_conversation_through_the_sdk(shop: Shop) -> None:
    customer = shop.world.customer()
    sdk = shop.sdk(customer)
    made = await sdk.conversations.create(
        metadata={"topic": "demo"}, items=[{"type": "message", "role": "user", "content": "hello"}]
    )
    assert made.id.startswith("conv_")
    added = await sdk.conversations.items.create(
        made.id, items=[{"type": "message", "role": "user", "content": str(place)} for place in range(3)]
    )
    assert len(added.data) == 3
    changed = await sdk.conversations.update(made.id, metadata={"topic": "other"})
    assert (await sdk.conversations.retrieve(made.id)) == changed
    oldest = [item async for item in sdk.conversations.items.list(made.id, order="asc", limit=2)]
    assert [item.content[0].text for item in oldest] == ["hello", "0", "1", "2"]  # type: ignore[union-attr, index]
    one = await sdk.conversations.items.retrieve(oldest[1].id, conversation_id=made.id)  # type: ignore[arg-type]
    assert one == oldest[1]
    await sdk.conversations.items.delete(oldest[1].id, conversation_id=made.id)  # type: ignore[arg-type]
    assert [item.id async for item in sdk.conversations.items.list(made.id)] == [
        item.id for item in (oldest[3], oldest[2], oldest[0])
    ]
    deleted = await sdk.conversations.delete(made.id)
    assert (deleted.deleted, deleted.object) == (True, "conversation.deleted")
    with pytest.raises(openai.NotFoundError):
        await sdk.conversations.retrieve(made.id)


async def test_a_turn_of_a_conversation_is_added_to_it(shop: Shop) -> None:
    customer = shop.world.customer()
    sdk = shop.sdk(customer)
    made = await sdk.conversations.create(items=[{"type": "message", "role": "user", "content": "before"}])
    resolved = await shop.resolved(customer, USER, conversation_id=made.id)
    assert isinstance(resolved, Resolved)
    assert [item["content"] for item in resolved.prior] == ["before"]
    assert await shop.keep(customer, resolved, answer(), Turn((USER,), conversation_id=made.id))
    listed = [item async for item in sdk.conversations.items.list(made.id, order="asc")]
    assert [item.type for item in listed] == ["message"] * 3
    assert listed[-1].id == SAID["id"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("POST", ""),
        ("DELETE", ""),
        ("GET", "/items"),
        ("POST", "/items"),
        ("GET", "/items/msg_1"),
        ("DELETE", "/items/msg_1"),
    ],
)
async def test_another_accounts_conversation_is_as_if_it_did_not_exist(shop: Shop, method: str, path: str) -> None:
    owner, other = shop.world.customer(), shop.world.customer()
    made = await shop.sdk(owner).conversations.create(
        items=[{"type": "message", "role": "user", "content": "hello", "id": "msg_1"}]  # type: ignore[list-item]
    )
    body: dict[str, Any] = {"items": [USER]} if path else {"metadata": {}}
    sent = body if method == "POST" else None
    theirs = await shop.http(other).request(method, f"/v1/conversations/{made.id}{path}", json=sent)
    assert refused(theirs, 404, "not_found")
    assert len((await shop.sdk(owner).conversations.items.list(made.id)).data) == 1


async def test_another_accounts_conversation_cannot_be_gone_on_from(shop: Shop) -> None:
    made = await shop.sdk(shop.world.customer()).conversations.create()
    refusal = await shop.resolved(shop.world.customer(), USER, conversation_id=made.id)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.param) == (Code.NOT_FOUND, "conversation")


async def test_a_conversation_without_storing_is_a_contradiction(shop: Shop) -> None:
    refusal = await shop.resolved(shop.world.customer(), USER, conversation_id="conv_x", store=False)
    assert isinstance(refusal, Refusal)
    assert refusal.param == "store"


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("", {"items": [USER] * 21}, "items"),
        ("", {"items": "hello"}, "items"),
        ("", {"metadata": {"a": 1}}, "metadata"),
        ("", {"name": "x"}, "name"),
        ("", {"items": [{"type": "item_reference", "id": "x"}]}, "items[0]"),
        ("/conv_x", {}, "metadata"),
        ("/conv_x/items", {}, "items"),
    ],
)
async def test_a_wrong_body_is_refused_by_name(shop: Shop, path: str, body: dict[str, Any], param: str) -> None:
    got = await shop.http(shop.world.customer()).post(f"/v1/conversations{path}", json=body)
    assert got.status_code == 400
    assert got.json()["error"]["param"] == param


async def test_an_account_of_which_nothing_is_kept_has_no_conversations(shop: Shop) -> None:
    customer = shop.world.customer()
    key = {"account_id": {"S": customer.account.id}}
    shop.world.dynamodb.update_item(
        TableName=shop.world.names.accounts,
        Key=key,
        UpdateExpression="SET zdr = :yes",
        ExpressionAttributeValues={":yes": {"BOOL": True}},
    )
    got = await shop.http(customer).post("/v1/conversations", json={})
    assert refused(got, 400, "invalid_request")
