"""
Several pools, some of which fail: who answers, what it costs, and how a pool that recovers is found again.

Nothing a client gets tells of a pool; a failed try costs it nothing; one request is one charge, whatever was tried.
"""

import asyncio
from email.utils import formatdate
from typing import Any

import pytest
from jatevo_testing.bench import INPUT_NANO_USD, OUTPUT_NANO_USD, Told
from jatevo_testing.fleet import Fleet, fleet_over
from jatevo_testing.streams import DONE, FINISH, HELLO, sending
from jatevo_testing.upstream import Asked, Connection, Script, answering, completion, usage

from jatevo.domain.ledger import Outcome, Reason

FINE = answering("fine", usage(10, 20))
CHARGE = 10 * INPUT_NANO_USD + 20 * OUTPUT_NANO_USD


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def replying(status: int, body: Any = b"secret", **headers: str) -> Script:
    async def script(_: Asked, connection: Connection) -> None:
        await connection.reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})

    return script


async def hang(_: Asked, connection: Connection) -> None:
    await asyncio.Event().wait()


async def hang_up(_: Asked, connection: Connection) -> None:
    await connection.hang_up()


async def begin_and_hang(_: Asked, connection: Connection) -> None:
    await connection.begin_stream()
    await connection.event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
    await hang(_, connection)


async def drip(_: Asked, connection: Connection) -> None:
    await connection.begin_stream()
    while not connection.closed:
        await connection.raw(b"2\r\n: \r\n")
        await asyncio.sleep(0.1)


def charged_once(told: Told, *, tries_exposed: int = 0) -> None:
    assert told.seen.status == 200
    assert (told.entry.outcome, told.entry.reason) == (Outcome.CHARGED, Reason.ANSWERED)
    assert told.entry.figures.charge_nano_usd == CHARGE
    assert told.entry.figures.exposure_nano_usd == tries_exposed * told.entry.reserved_nano_usd


# Before the first byte: the next route answers.

NOTHING_OWED = {
    "429": replying(429),
    "429 with a wait": replying(429, retry_after="3"),
    "500": replying(500),
    "502": replying(502),
    "503": replying(503),
    "401": replying(401),
    "404": replying(404),
    "moved": replying(307, location="http://127.0.0.1/secret"),
}
POSSIBLY_BILLED = {
    "408": replying(408),
    "504": replying(504),
    "hangs up": hang_up,
    "garbage": replying(200, b"<html>secret"),
    "an error with 200": replying(200, {"error": {"message": "secret"}}),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", NOTHING_OWED)
async def test_a_route_that_refuses_is_replaced_and_costs_nobody_anything(
    fleet: Fleet, name: str, *, stream: bool
) -> None:
    fleet.behave(a=NOTHING_OWED[name], b=FINE)

    charged_once(await fleet.ask(stream=stream))

    assert fleet.asked() == {"a": 1, "b": 1}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", POSSIBLY_BILLED)
async def test_a_route_that_took_the_body_and_gave_nothing_is_replaced_once_and_is_exposure(
    fleet: Fleet, name: str, *, stream: bool
) -> None:
    fleet.behave(a=POSSIBLY_BILLED[name], b=FINE)

    charged_once(await fleet.ask(stream=stream), tries_exposed=1)

    assert fleet.asked() == {"a": 1, "b": 1}


@pytest.mark.parametrize("script", [begin_and_hang, drip, hang])
async def test_a_stream_without_content_is_given_up_in_its_pool_s_time_and_another_takes_its_place(
    fleet: Fleet, script: Script
) -> None:
    fleet.apply(a={"first_byte_s": 1})
    fleet.behave(a=script, b=FINE)

    charged_once(await fleet.ask(stream=True), tries_exposed=1)


async def test_who_has_waited_for_a_pool_in_vain_is_not_made_to_wait_again_at_once(fleet: Fleet) -> None:
    """One account alone takes no pool down; but most of its time is not spent waiting for one that is silent."""
    fleet.apply(a={"first_byte_s": 1})
    fleet.behave(a=hang, b=FINE)
    customer = fleet.customer()

    for exposed in (1, 0, 0):
        charged_once(await fleet.ask(customer, stream=True), tries_exposed=exposed)

    assert fleet.asked() == {"a": 1, "b": 3}


async def test_after_the_first_byte_nothing_else_is_tried(fleet: Fleet) -> None:
    fleet.behave(a=sending(HELLO, then="hang_up"), b=FINE)

    told = await fleet.ask(stream=True)

    assert told.seen.broken
    assert told.entry.reason is Reason.UPSTREAM_BROKE
    assert fleet.asked() == {"a": 1, "b": 0}


async def test_without_room_for_two_exposures_there_is_no_further_try(fleet: Fleet) -> None:
    fleet.behave(a=hang_up, b=FINE)

    told = await fleet.ask(fleet.customer(budget_nano_usd=300_000))

    assert told.seen.status == 502
    assert told.entry.figures.exposure_nano_usd == told.entry.reserved_nano_usd
    assert fleet.asked() == {"a": 1, "b": 0}


async def test_no_more_than_four_routes_are_tried(dynoxide: str) -> None:
    async with fleet_over(dynoxide, "abcdef") as fleet:
        fleet.behave(**dict.fromkeys("abcdef", replying(500)))
        told = await fleet.ask()
        assert told.entry.outcome is Outcome.RELEASED
        assert sum(fleet.asked().values()) == 4


async def test_every_try_sends_the_same_cap(fleet: Fleet) -> None:
    fleet.apply(b={"cap_field": "max_completion_tokens"})
    fleet.behave(a=replying(500), b=FINE)

    await fleet.ask(max_tokens=33)

    sent = [fleet.pools[name].asked[0].body for name in "ab"]
    assert sent[0]["max_tokens"] == sent[1]["max_completion_tokens"] == 33
    assert "max_completion_tokens" not in sent[0]
    assert "max_tokens" not in sent[1]


# Breakers and cooldowns.


async def failing(fleet: Fleet, accounts: int, **body: Any) -> None:
    for _ in range(accounts):
        await fleet.ask(**body)


async def test_a_pool_that_fails_for_several_accounts_is_spared_and_found_again_by_one_probe(fleet: Fleet) -> None:
    fleet.behave(a=replying(500), b=FINE)
    await failing(fleet, 3)
    assert fleet.asked() == {"a": 3, "b": 3}

    await failing(fleet, 3)
    assert fleet.asked() == {"a": 3, "b": 6}

    fleet.behave(a=FINE, b=FINE)
    await asyncio.sleep(1.1)  # the cooldown of this gateway
    told = await asyncio.gather(*(fleet.ask() for _ in range(6)))
    for one in told:
        charged_once(one)
    assert fleet.asked()["a"] >= 1
    fleet.behave()
    await failing(fleet, 3)
    assert fleet.asked() == {"a": 3, "b": 0}


async def test_while_a_probe_is_out_nobody_else_asks(fleet: Fleet) -> None:
    asked_once, go_on = asyncio.Event(), asyncio.Event()

    async def slow(asked: Asked, connection: Connection) -> None:
        asked_once.set()
        await go_on.wait()
        await FINE(asked, connection)

    fleet.behave(a=replying(500), b=FINE)
    await failing(fleet, 3)
    await asyncio.sleep(1.1)
    fleet.behave(a=slow, b=FINE)
    probe = asyncio.ensure_future(fleet.ask())
    await asked_once.wait()
    await asyncio.gather(*(fleet.ask() for _ in range(10)))
    go_on.set()
    charged_once(await probe)
    assert fleet.asked() == {"a": 1, "b": 10}


@pytest.mark.parametrize("status", [403, 404, 429, 500])
async def test_one_account_s_poison_takes_no_pool_down_for_others(fleet: Fleet, status: int) -> None:
    """Also where an upstream is guarded by something that says 403 to what a body has in it."""

    async def poisoned(asked: Asked, connection: Connection) -> None:
        await (replying(status) if asked.body.get("user") == "poison" else FINE)(asked, connection)

    fleet.behave(a=poisoned, b=poisoned)
    attacker, honest = fleet.customer(), fleet.customer()
    for _ in range(12):
        told = await fleet.ask(attacker, user="poison")
        assert told.entry.outcome is Outcome.RELEASED

    fleet.behave()
    charged_once(await fleet.ask(honest))
    assert fleet.asked() == {"a": 1, "b": 0}


async def test_a_model_that_a_pool_does_not_have_takes_its_other_models_from_nobody(fleet: Fleet) -> None:
    misnamed = fleet.model()
    misnamed["routes"][0]["model"] = "secret-misnamed"
    fleet.apply(models=[fleet.model("good-model"), misnamed])

    async def knowing(asked: Asked, connection: Connection) -> None:
        await (replying(404) if asked.body["model"] == "secret-misnamed" else FINE)(asked, connection)

    fleet.behave(a=knowing, b=FINE)
    for _ in range(5):
        charged_once(await fleet.ask())
    fleet.behave()

    charged_once(await fleet.ask(model="good-model"))
    assert fleet.asked() == {"a": 1, "b": 0}


async def test_a_refused_key_takes_a_pool_out_of_use_whoever_asked(fleet: Fleet) -> None:
    fleet.behave(a=replying(401), b=FINE)
    customer = fleet.customer()
    await failing(fleet, 3)
    fleet.behave()
    charged_once(await fleet.ask(customer))
    assert fleet.asked() == {"a": 0, "b": 1}


@pytest.mark.parametrize("status", [408, 500, 502, 504, 529])
async def test_a_wish_to_wait_is_honoured_whatever_status_it_comes_with(fleet: Fleet, status: int) -> None:
    fleet.behave(a=replying(status, retry_after="3"), b=FINE)
    customer = fleet.customer()
    for exposed in (int(status in {408, 504}), 0):
        charged_once(await fleet.ask(customer), tries_exposed=exposed)
    assert fleet.asked() == {"a": 1, "b": 2}


@pytest.mark.parametrize("kind", ["seconds", "date"])
async def test_an_upstream_s_wish_to_wait_is_honoured(fleet: Fleet, kind: str) -> None:
    wait = "3" if kind == "seconds" else formatdate(fleet.world.gateway.clock.now_ms() / 1000 + 3, usegmt=True)
    fleet.behave(a=replying(429, retry_after=wait), b=FINE)
    customer = fleet.customer()

    for _ in range(4):
        charged_once(await fleet.ask(customer))
    assert fleet.asked() == {"a": 1, "b": 4}
    await fleet.ask()
    await fleet.ask()
    assert fleet.asked()["a"] == 2, "a second account that is told to wait makes it true for all"


async def test_when_every_pool_rests_a_request_is_refused_before_it_is_reserved_and_told_when(fleet: Fleet) -> None:
    fleet.behave(a=replying(429, retry_after="7"), b=replying(503, retry_after="7"))
    customer = fleet.customer()
    told = await fleet.ask(customer)
    assert told.seen.status == 503

    answer = await fleet.bench.client.post(
        "/v1/chat/completions",
        json={"model": "test-model", "messages": [{"role": "user", "content": "hi"}]},
        headers=customer.headers,
    )

    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "upstream_unavailable"
    assert 1 <= int(answer.headers["retry-after"]) <= 7
    assert len(await fleet.world.ledger(customer)) == 1
    assert fleet.asked() == {"a": 1, "b": 1}


async def test_a_body_that_is_to_blame_is_tried_once_and_harms_no_pool(fleet: Fleet) -> None:
    fleet.behave(a=replying(422, {"error": {"message": "secret"}}), b=FINE)
    for _ in range(4):
        told = await fleet.ask()
        assert told.seen.error["code"] == "invalid_request"
    assert fleet.asked() == {"a": 4, "b": 0}


async def test_a_drained_pool_is_not_asked_and_a_returned_one_is(fleet: Fleet) -> None:
    store = fleet.world.gateway.health._store
    fleet.behave(a=FINE, b=FINE)
    await store.drain("secret-a", "ada", now_unix_s=1)
    charged_once(await fleet.ask())
    assert fleet.asked() == {"a": 0, "b": 1}
    await store.drain("secret-a", None, now_unix_s=2)
    charged_once(await fleet.ask())
    assert fleet.asked() == {"a": 1, "b": 1}


# Hedging.


async def test_a_stream_that_is_slow_to_begin_is_hedged_where_the_model_is_and_the_hedge_is_exposure(
    fleet: Fleet,
) -> None:
    fleet.apply(models=[fleet.model(hedge_after_ms=200)])
    fleet.behave(a=begin_and_hang, b=FINE)

    charged_once(await fleet.ask(stream=True), tries_exposed=1)

    assert fleet.asked() == {"a": 1, "b": 1}


async def test_a_stream_that_begins_in_time_is_not_hedged(fleet: Fleet) -> None:
    fleet.apply(models=[fleet.model(hedge_after_ms=5_000)])
    fleet.behave(a=FINE, b=FINE)

    charged_once(await fleet.ask(stream=True))

    assert fleet.asked() == {"a": 1, "b": 0}


async def test_a_hedge_whose_first_try_wins_costs_the_second_as_exposure(fleet: Fleet) -> None:
    async def late(asked: Asked, connection: Connection) -> None:
        await asyncio.sleep(0.5)
        await FINE(asked, connection)

    fleet.apply(models=[fleet.model(hedge_after_ms=100)])
    fleet.behave(a=late, b=hang)

    charged_once(await fleet.ask(stream=True), tries_exposed=1)


async def test_a_hedge_that_is_refused_leaves_the_first_try_its_time(fleet: Fleet) -> None:
    async def late(asked: Asked, connection: Connection) -> None:
        await asyncio.sleep(0.5)
        await FINE(asked, connection)

    fleet.apply(models=[fleet.model(hedge_after_ms=100)])
    fleet.behave(a=late, b=replying(500))

    charged_once(await fleet.ask(stream=True))


# What never leaves.


async def test_another_model_s_name_never_reaches_the_client(fleet: Fleet) -> None:
    fleet.behave(a=replying(200, completion("x", usage(10, 20)) | {"model": "secret-other-model"}), b=FINE)
    told = await fleet.ask()
    assert told.seen.whole["model"] == "test-model"


async def test_a_stream_that_began_elsewhere_is_told_from_its_beginning(fleet: Fleet) -> None:
    fleet.apply(a={"first_byte_s": 1})
    fleet.behave(a=begin_and_hang, b=sending(HELLO, FINISH, DONE))
    told = await fleet.ask(stream=True)
    assert told.seen.text == "hello "
    assert told.seen.done
