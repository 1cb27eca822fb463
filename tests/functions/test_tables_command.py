"""Backups, restored on another engine, go on where they were; migrations go on where they stopped."""

import asyncio
import gzip
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.tables import fresh_tables, plain_client
from jatevo_testing.upstream import ScriptedUpstream, answering, usage
from jatevo_testing.world import World

from jatevo.application.ports import StoreUnavailable
from jatevo.bootstrap import Settings
from jatevo.domain.windows import Limits
from jatevo_cli import migrations
from jatevo_cli.main import INTERRUPTED, main
from jatevo_local.engine import AWS_ENVIRONMENT

TOKEN = "an operator's token, long enough"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def world(dynoxide: str, upstream: ScriptedUpstream, clock: ManualClock) -> AsyncIterator[World]:
    with fresh_tables(dynoxide) as names:
        made = World(dynoxide, names.windows.removesuffix("-windows"), Settings(directory_keep_ms=0), clock)
        made.apply_catalogue(base_url=upstream.base_url)
        upstream.script = answering("hello", usage(10, 20))
        yield made
        await made.close()


def tables(*arguments: str, engine: str, monkeypatch: pytest.MonkeyPatch) -> int:
    for name, value in {**AWS_ENVIRONMENT, "JATEVO_DYNAMODB_ENDPOINT": engine}.items():
        monkeypatch.setenv(name, value)
    return main(["tables", *arguments, "--region", "us-east-1"])


async def test_a_backup_restored_on_another_engine_goes_on_where_it_was(
    world: World,
    clock: ManualClock,
    dynoxide: str,
    extenddb: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    customer = world.customer(requests=10, caps=Limits(requests=8))
    for _ in range(3):
        assert (await world.chat(customer)).status_code == 200
    with monkeypatch.context() as patch:
        patch.setattr(world.gateway.windows, "settle", unreachable)
        patch.setattr("jatevo.application.settling._FIRST_PAUSE_S", 10**6)
        assert (await world.chat(customer)).status_code == 200  # decided, and its windows do not know yet
    before = await world.window(customer)
    assert len(before.open) == 1
    prefix, path = world.settings.table_prefix, tmp_path / "backup.jsonl.gz"
    file = str(path)
    assert await asyncio.to_thread(in_backup, file, prefix, dynoxide, monkeypatch) == 0
    assert stat.S_IMODE(mode_of(path)) == 0o600
    assert "items of 14 tables" in capsys.readouterr().out

    restored_as = f"{prefix}r"
    into = ("restore", file, "--prefix", restored_as)
    assert await asyncio.to_thread(tables, *into, engine=extenddb, monkeypatch=monkeypatch) == 0
    assert await asyncio.to_thread(tables, *into, engine=extenddb, monkeypatch=monkeypatch) == 1, "no longer empty"
    assert "is not empty" in capsys.readouterr().err
    again = World(extenddb, restored_as, world.settings, clock)
    assert await again.window(customer) == before
    assert (await again.chat(customer)).status_code == 200, "its key, limits and catalogue are there"
    clock.advance(3600)
    report = await again.gateway.sweeper().run(full=True)
    assert (report.applied, report.expired, report.failed) == (1, 0, 0)
    audit = await again.gateway.reconciliation().account(customer.account.id, again.today())
    assert (audit.differences, audit.sums.entries, audit.busy) == ([], 5, False)
    assert (await again.window(customer)).requests_left == 5
    await again.close()


def mode_of(path: Path) -> int:
    return path.stat().st_mode


def in_backup(file: str, prefix: str, engine: str, monkeypatch: pytest.MonkeyPatch) -> int:
    return tables("backup", file, "--prefix", prefix, engine=engine, monkeypatch=monkeypatch)


async def unreachable(*_arguments: object, **_more: object) -> bool:
    raise StoreUnavailable("a test")


@pytest.mark.parametrize("how", ["cut", "changed", "foreign"])
async def test_a_damaged_backup_is_refused_before_anything_is_written(
    world: World, dynoxide: str, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.customer()
    file = tmp_path / "backup.jsonl.gz"
    prefix = world.settings.table_prefix
    assert await asyncio.to_thread(in_backup, str(file), prefix, dynoxide, monkeypatch) == 0
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    if how == "cut":
        file.write_bytes(file.read_bytes()[:-20])
    else:
        kept = lines[:1] + lines[2:] if how == "changed" else [json.dumps({"format": 9}), *lines[1:]]
        file.write_bytes(gzip.compress("\n".join(kept).encode()))
    arguments = ("restore", str(file), "--prefix", f"{prefix}x")
    assert await asyncio.to_thread(tables, *arguments, engine=dynoxide, monkeypatch=monkeypatch) == 1
    client = plain_client(dynoxide)
    assert not [name for name in client.list_tables()["TableNames"] if name.startswith(f"{prefix}x-")]
    client.close()


async def test_a_migration_that_is_cut_short_goes_on_and_is_taken_once(
    world: World, dynoxide: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    customers = [world.customer() for _ in range(5)]
    for customer in customers:
        assert (await world.chat(customer)).status_code == 200
    shards = {item["owner"]["S"]: item["sweep_shard"] for item in windows(world)}
    for owner in shards:
        move(world, owner)
    monkeypatch.setattr(migrations, "_PAGE", 2)
    arguments = ("migrate", "--prefix", world.settings.table_prefix)
    seen = 0

    def killed(self: migrations.Migrations, step: migrations.Step, item: Any) -> bool:
        nonlocal seen
        seen += 1
        if seen == 4:
            raise KeyboardInterrupt
        return changed(self, step, item)

    changed = migrations.Migrations._changed
    with monkeypatch.context() as patch:
        patch.setattr(migrations.Migrations, "_changed", killed)
        assert tables(*arguments, engine=dynoxide, monkeypatch=monkeypatch) == INTERRUPTED
    assert 0 < sum(item["sweep_shard"] == shards[item["owner"]["S"]] for item in windows(world)) < len(shards)
    assert await asyncio.to_thread(tables, *arguments, engine=dynoxide, monkeypatch=monkeypatch) == 0
    assert {item["owner"]["S"]: item["sweep_shard"] for item in windows(world)} == shards
    assert "step 1: 3 items seen, 2 changed" in capsys.readouterr().err, "it went on after the page that was done"
    assert await asyncio.to_thread(tables, *arguments, engine=dynoxide, monkeypatch=monkeypatch) == 0
    assert "are of version 1" in capsys.readouterr().out
    assert (await world.chat(customers[0])).status_code == 200, "the catalogue is still found"


def windows(world: World) -> list[Any]:
    found: list[Any] = world.dynamodb.scan(TableName=world.names.windows)["Items"]
    return found


def move(world: World, owner: str) -> None:
    world.dynamodb.update_item(
        TableName=world.names.windows,
        Key={"owner": {"S": owner}, "period": {"S": world.today()}},
        UpdateExpression="SET sweep_shard = :none",
        ExpressionAttributeValues={":none": {"S": "none"}},
    )


def test_tables_that_cannot_be_reached_are_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "backup")
    assert tables("backup", file, engine="http://127.0.0.1:9", monkeypatch=monkeypatch) == 3
    assert capsys.readouterr().err.startswith("jatevo: the tables cannot be reached: ")
    monkeypatch.setenv("DATA", str(tmp_path))
    assert main(["tables", "migrate", "--local"]) == 1
    assert "is the stack running there?" in capsys.readouterr().err
