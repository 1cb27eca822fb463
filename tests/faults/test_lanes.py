"""
Lanes at work: who may use which, what a bare name does, and reserved places that no shared load can take.
"""

import asyncio
from typing import Any

import pytest
from jatevo_testing.fleet import Fleet, fleet_over
from jatevo_testing.served import seen_by
from jatevo_testing.upstream import Asked, Connection, answering, usage

FINE = answering("fine", usage(10, 20))
GOLD = {"id": "gold", "pools": ["secret-a"], "guaranteed": {"secret-a": 3}, "margin_bps": 2000}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def fleet(lasting_fleet: Fleet) -> Fleet:
    lasting_fleet.reset()
    lasting_fleet.behave(a=FINE, b=FINE)
    return lasting_fleet


def divided(fleet: Fleet, concurrency: int = 5) -> None:
    fleet.apply(lanes=[GOLD], a={"concurrency": concurrency}, b={"private": True})


async def test_a_lane_is_used_by_those_who_may_and_unknown_names_are_unknown(fleet: Fleet) -> None:
    divided(fleet)
    member, other = fleet.customer(lanes=frozenset({"gold"})), fleet.customer()

    assert (await fleet.ask(member, model="gold/test-model")).entry.lane == "gold"
    assert (await fleet.ask(member, model="shared/test-model")).entry.lane == "shared"
    for customer, name, status, code in (
        (other, "gold/test-model", 403, "model_not_allowed"),
        (other, "silver/test-model", 404, "model_not_found"),
        (member, "gold/none", 404, "model_not_found"),
    ):
        seen = await seen_by(fleet.bench.client, customer.headers, model=name)
        assert (seen.status, seen.error["code"]) == (status, code)


async def test_a_bare_name_goes_to_the_caller_s_own_lane_and_its_answer_keeps_that_name(fleet: Fleet) -> None:
    divided(fleet)
    told = await fleet.ask(fleet.customer(lanes=frozenset({"gold"})))
    assert told.entry.lane == "gold"
    assert told.seen.whole["model"] == "test-model"


async def test_a_lane_s_margin_is_charged_unless_the_account_has_its_own(fleet: Fleet) -> None:
    divided(fleet)
    cost = 10 * 1_000 + 20 * 2_000
    for own, charge in ((None, cost * 12 // 10), (500, cost * 105 // 100)):
        told = await fleet.ask(fleet.customer(lanes=frozenset({"gold"}), margin_bps=own), model="gold/test-model")
        assert told.entry.figures.charge_nano_usd == charge


async def test_shared_load_at_four_times_capacity_takes_no_reserved_place(fleet: Fleet) -> None:
    divided(fleet, concurrency=5)  # three for gold, two shared
    at_once = {"gold": 0, "shared": 0}
    most = dict(at_once)

    async def busy(asked: Asked, connection: Connection) -> None:
        lane = asked.body["user"]
        at_once[lane] += 1
        most[lane] = max(most[lane], at_once[lane])
        await asyncio.sleep(0.15)
        at_once[lane] -= 1
        await FINE(asked, connection)

    fleet.behave(a=busy)
    member = fleet.customer(lanes=frozenset({"gold"}))
    crowd = [fleet.customer() for _ in range(8)]
    stopped = asyncio.Event()
    refused: list[str] = []

    async def press(customer: Any) -> None:
        while not stopped.is_set():
            seen = await seen_by(fleet.bench.client, customer.headers, user="shared", max_tokens=10)
            if seen.status != 200:
                refused.append(seen.error["code"])
                await asyncio.sleep(0.02)

    pressing = [asyncio.ensure_future(press(customer)) for customer in crowd]
    await asyncio.sleep(0.3)
    for _ in range(4):
        told = await asyncio.gather(
            *(
                seen_by(fleet.bench.client, member.headers, model="gold/test-model", user="gold", max_tokens=10)
                for _ in range(3)
            )
        )
        assert [seen.status for seen in told] == [200] * 3
    stopped.set()
    await asyncio.gather(*pressing)

    assert most == {"gold": 3, "shared": 2}
    assert set(refused) == {"concurrency_limit"}


async def test_what_others_met_in_a_pool_takes_no_place_away_from_those_who_have_their_own(fleet: Fleet) -> None:
    """Two hostile accounts can have a pool rest; the lane that has places in it goes on all the same."""
    divided(fleet)

    async def poisoned(asked: Asked, connection: Connection) -> None:
        if asked.body.get("user") == "poison":
            await connection.reply(500, b"secret")
        else:
            await FINE(asked, connection)

    fleet.behave(a=poisoned)
    for _ in range(3):
        await fleet.ask(user="poison")
    assert (await fleet.ask_refused()).error["code"] == "upstream_unavailable"

    member = fleet.customer(lanes=frozenset({"gold"}))
    for _ in range(3):
        assert (await fleet.ask(member, model="gold/test-model")).seen.status == 200


async def test_who_has_places_of_its_own_gives_a_pool_up_once_its_own_requests_fail_there(fleet: Fleet) -> None:
    divided(fleet)

    async def down(_: Asked, connection: Connection) -> None:
        await connection.reply(500, b"secret")

    fleet.behave(a=down)
    for _ in range(3):
        await fleet.ask()
    member = fleet.customer(lanes=frozenset({"gold"}))
    for _ in range(2):
        assert (await fleet.ask(member, model="gold/test-model")).seen.error["code"] == "upstream_error"
    assert (await fleet.ask_refused(member, model="gold/test-model")).error["code"] == "upstream_unavailable"
    assert fleet.asked()["a"] == 5


async def test_what_others_used_of_a_lane_is_told_to_nobody(fleet: Fleet) -> None:
    """Nor at which price a reseller buys: a lane's dollars are the account's, not those that its customer pays."""
    few_dollars = {"id": "dollars", "requests_per_day": 7, "budget_usd_per_day": "0.000313"}
    fleet.apply(lanes=[few_dollars, {"id": "requests", "requests_per_day": 1}])
    other, member = (fleet.customer(lanes=frozenset({"dollars", "requests"})) for _ in range(2))
    for lane in ("dollars", "requests"):
        assert (await fleet.ask(other, model=f"{lane}/test-model")).seen.status == 200

    refused = [await fleet.ask_refused(member, model="dollars/test-model", max_tokens=cap) for cap in (200, 100_000)]
    refused.append(await fleet.ask_refused(member, model="requests/test-model"))

    told = [seen.error["code"] for seen in refused]
    assert told == ["projected_cost_exceeds_budget"] * 2 + ["request_quota_exhausted"]
    for seen in refused:
        assert "another lane" in seen.error["message"]
        assert not {"x-ratelimit-limit-requests", "x-jatevo-budget-remaining-usd"} & seen.headers.keys()
        assert b"usd" not in seen.everything.lower()
        assert "$" not in seen.error["message"]
    fits = refused[0].error["affordable_output_tokens"]
    assert (await fleet.ask(member, model="dollars/test-model", max_tokens=fits)).seen.status == 200


async def test_a_full_lane_of_its_own_leaves_a_bare_name_to_the_shared_one(fleet: Fleet) -> None:
    divided(fleet, concurrency=4)
    go_on, all_there = asyncio.Event(), asyncio.Event()

    async def waiting(asked: Asked, connection: Connection) -> None:
        if len(fleet.pools["a"].asked) == 4:
            all_there.set()
        await go_on.wait()
        await FINE(asked, connection)

    fleet.behave(a=waiting)
    member = fleet.customer(lanes=frozenset({"gold"}))
    held = [asyncio.ensure_future(seen_by(fleet.bench.client, member.headers, max_tokens=10)) for _ in range(4)]
    await all_there.wait()
    fifth = await seen_by(fleet.bench.client, member.headers, max_tokens=10)
    go_on.set()
    assert [seen.status for seen in await asyncio.gather(*held)] == [200] * 4
    assert fifth.error["code"] == "concurrency_limit"
    entries = await fleet.world.ledger(member)
    served = [entry.lane for entry in entries if not entry.gives_request_back]
    assert sorted(served) == ["gold", "gold", "gold", "shared"]


async def test_failing_over_takes_a_place_in_the_other_pool(fleet: Fleet) -> None:
    lanes = [{"id": "gold", "guaranteed": {"secret-a": 2, "secret-b": 1}}]
    fleet.apply(lanes=lanes, a={"concurrency": 2}, b={"concurrency": 1})

    async def down(_: Asked, connection: Connection) -> None:
        await connection.reply(500, b"secret")

    fleet.behave(a=down, b=FINE)
    member = fleet.customer(lanes=frozenset({"gold"}))
    told = await fleet.ask(member, model="gold/test-model")
    assert told.seen.status == 200
    assert {key.owner for key in told.entry.windows} >= {"lane/gold/secret-a", member.account.id}
    again = await fleet.ask(member, model="gold/test-model")
    assert again.seen.status == 200, "the places were given back"


async def test_without_shared_places_the_shared_lane_is_not_served_there(fleet: Fleet) -> None:
    fleet.apply(lanes=[{"id": "gold", "guaranteed": {"secret-a": 2}}], a={"concurrency": 2}, b={})
    told = await fleet.ask()
    assert told.seen.status == 200
    assert fleet.asked() == {"a": 0, "b": 1}


async def test_a_conversation_stays_where_it_was_and_conversations_spread(fleet: Fleet) -> None:
    fleet.apply(models=[fleet.model(rotate=True)])
    customer = fleet.customer()
    homes = set()
    for subject in range(12):
        fleet.behave()
        first = {"role": "user", "content": f"subject {subject}"}
        for turns in ([], [{"role": "assistant", "content": "yes"}, {"role": "user", "content": "more"}]):
            await fleet.ask(customer, messages=[{"role": "system", "content": "be kind"}, first, *turns])
        asked = fleet.asked()
        assert sorted(asked.values()) == [0, 2]
        homes.add(max(asked, key=lambda pool: asked[pool]))
    assert homes == {"a", "b"}


async def test_a_cache_key_wins_over_the_conversation(fleet: Fleet) -> None:
    fleet.apply(models=[fleet.model(rotate=True)])
    customer = fleet.customer()
    for number in range(8):
        message = {"role": "user", "content": f"nothing in common {number}"}
        await fleet.ask(customer, messages=[message], prompt_cache_key="same")
    assert sorted(fleet.asked().values()) == [0, 8]


async def test_auto_takes_the_cheapest_model_that_fits_and_says_which(fleet: Fleet) -> None:
    cheap = fleet.model("cheap", context_window=600, max_output_tokens=300, default_output_tokens=200)
    cheap["price"] = {"input": "0.10", "output": "0.20"}
    dear = fleet.model("dear")
    hidden = fleet.model("hidden", auto=False) | {"price": {"input": "0.01", "output": "0.01"}}
    fleet.apply(models=[dear, cheap, hidden])

    async def picked(**body: Any) -> str:
        told = await fleet.ask(model="auto", **body)
        assert told.seen.whole["model"] == told.entry.model
        return told.entry.model

    assert await picked() == "cheap"
    assert await picked(max_tokens=301) == "dear", "no output is cut short for the price"
    assert await picked(messages=[{"role": "user", "content": "x" * 1200}]) == "dear"
    seen = await seen_by(
        fleet.bench.client,
        fleet.customer().headers,
        model="auto",
        messages=[{"role": "user", "content": "x" * 40_000}],
    )
    assert seen.error["code"] == "context_length_exceeded"


async def test_auto_passes_over_a_model_whose_pools_are_all_down(fleet: Fleet) -> None:
    route = {"pool": "secret-a", "model": "m"}
    cheap = fleet.model("cheap", routes=[route]) | {"price": {"input": "0.10", "output": "0.20"}}
    fleet.apply(models=[cheap, fleet.model("dear", routes=[route | {"pool": "secret-b"}])])
    await fleet.world.gateway.health._store.drain("secret-a", "ada", now_unix_s=1)
    assert (await fleet.ask(model="auto")).entry.model == "dear"


# Quirks: what a route cannot honour is refused before anything is reserved, by name.


async def refusal(fleet: Fleet, **body: Any) -> dict[str, Any]:
    customer = fleet.customer()
    seen = await seen_by(fleet.bench.client, customer.headers, **body)
    assert not await fleet.world.ledger(customer)
    assert not any(fleet.asked().values())
    return {"status": seen.status, "code": seen.error["code"], "param": seen.error["param"]}


async def test_fields_and_roles_go_by_the_names_they_have_there(fleet: Fleet) -> None:
    fleet.apply(a={"rename_fields": {"reasoning_effort": "effort"}, "roles": {"developer": "system"}})
    await fleet.ask(
        reasoning_effort="low", messages=[{"role": "developer", "content": "a"}, {"role": "user", "content": "b"}]
    )
    [asked] = fleet.pools["a"].asked
    assert (asked.body["effort"], "reasoning_effort" in asked.body) == ("low", False)
    assert [message["role"] for message in asked.body["messages"]] == ["system", "user"]


async def test_a_role_that_one_pool_refuses_goes_to_another_or_is_refused_by_its_place(fleet: Fleet) -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "developer", "content": "b"}]
    fleet.apply(a={"refuse_roles": ["developer"]})
    await fleet.ask(messages=messages)
    assert fleet.asked() == {"a": 0, "b": 1}
    fleet.behave()
    fleet.apply(a={"refuse_roles": ["developer"]}, b={"refuse_roles": ["developer"]})
    assert await refusal(fleet, messages=messages) == {
        "status": 400,
        "code": "unsupported_parameter",
        "param": "messages[1].role",
    }


async def test_a_picture_goes_where_it_is_seen_or_is_refused(fleet: Fleet) -> None:
    price = {"input": "1.00", "output": "2.00", "image_input": "1.00"}
    model = fleet.model(estimate={"image_tokens": 100}) | {"price": price}
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "what?"}, part]}]
    fleet.apply(models=[model], a={"modalities": ["text"]})
    await fleet.ask(messages=messages)
    assert fleet.asked() == {"a": 0, "b": 1}
    fleet.behave()
    fleet.apply(models=[model], a={"modalities": ["text"]}, b={"modalities": ["text", "audio"]})
    assert (await refusal(fleet, messages=messages))["code"] == "unsupported_modality"


async def test_what_is_to_be_kept_by_nobody_goes_only_where_nothing_is_kept(fleet: Fleet) -> None:
    fleet.apply(b={"zdr": {"X-Keep": "nothing"}, "headers": {"X-From": "gateway"}})
    await fleet.ask(fleet.customer(zdr=True))
    assert fleet.asked() == {"a": 0, "b": 1}
    assert fleet.pools["b"].asked[0].headers["x-keep"] == "nothing"
    assert fleet.pools["b"].asked[0].headers["x-from"] == "gateway"
    fleet.behave()
    fleet.apply()
    customer = fleet.customer()
    headers = {**customer.headers, "x-jatevo-zdr": "true"}
    seen = await seen_by(fleet.bench.client, headers)
    assert (seen.status, seen.error["param"]) == (400, "x-jatevo-zdr")


async def test_an_upstream_that_is_not_believed_is_not_asked_for_usage_and_estimated(fleet: Fleet) -> None:
    fleet.apply(a={"usage": "estimated"})
    told = await fleet.ask(stream=True)
    assert "stream_options" not in fleet.pools["a"].asked[0].body
    assert told.entry.usage_source == "estimated"
    assert told.entry.figures.charge_nano_usd > 0


async def test_a_process_of_one_lane_serves_that_lane_s_keys_only(dynoxide: str) -> None:
    async with fleet_over(dynoxide, "a", only_lane="gold") as fleet:
        fleet.behave(a=FINE)
        divided(fleet)
        told = await fleet.ask(fleet.customer(lanes=frozenset({"gold"})))
        assert told.entry.lane == "gold"
        for name in ("test-model", "shared/test-model", "gold/test-model", "auto"):
            seen = await seen_by(fleet.bench.client, fleet.customer().headers, model=name)
            assert (seen.status, seen.error["code"]) == (403, "model_not_allowed")
