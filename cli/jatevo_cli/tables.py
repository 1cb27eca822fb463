"""
`jatevo tables`: back up all tables of a gateway into one file, restore them elsewhere, bring them to this version.

Speaks to DynamoDB itself, as the account that AWS's usual variables and files name; with `--local`, to the engine of
`make run` on this machine. Exit status: 0 done, 1 refused, 2 wrong usage, 3 tables not reachable.

A backup is one JSON line for each item, compressed. The ledger is read last: it has the decision about whatever a
window says is settled; what was under way is open in the restored windows, and the sweeper ends it.
"""

import argparse
import base64
import gzip
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from jatevo.adapters.dynamodb.schema import TableNames, definitions
from jatevo_cli.migrations import Migrations

_FORMAT = 1
_BATCH = 25
_PROGRESS_EVERY = 10_000
_REFUSED, _UNREACHABLE = 1, 3
_DESCRIPTION = """\
Back up, restore and migrate the tables of a gateway.

  jatevo tables backup FILE    all items of all tables into one file
  jatevo tables restore FILE   into tables that are empty, or are made
  jatevo tables migrate        bring what is stored to this version; can be stopped and goes on
"""


class TablesError(Exception):
    """One line for a person."""


def run(options: argparse.Namespace) -> int:
    """Run one command and return its exit status."""
    try:
        client = _client(options)
        names = asdict(TableNames.with_prefix(options.prefix))
        print(options.does(client, names, options))
    except TablesError as error:
        print(f"jatevo: {error}", file=sys.stderr)
        return _REFUSED
    except (BotoCoreError, ClientError) as error:
        print(f"jatevo: the tables cannot be reached: {error}", file=sys.stderr)
        return _UNREACHABLE
    return 0


def backup(client: Any, names: dict[str, str], options: argparse.Namespace) -> str:
    """Write every item of every table into a file that nobody else may read."""
    order = [*(table for table in names if table != "ledger"), "ledger"]
    path = Path(options.file)
    counts = dict.fromkeys(order, 0)
    unfinished = path.with_name(f"{path.name}.part")
    opened = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(opened, "wb") as raw, gzip.open(raw, "wt", encoding="utf-8") as out:
        _line(out, {"format": _FORMAT, "tables": order})
        for table in order:
            for item in _items(client, names[table]):
                _line(out, {"table": table, "item": item})
                counts[table] += 1
                _progress(sum(counts.values()))
        _line(out, {"end": counts})
    unfinished.replace(path)
    return f"{sum(counts.values())} items of {len(order)} tables in {path}"


def restore(client: Any, names: dict[str, str], options: argparse.Namespace) -> str:
    """Put the items of a backup into tables that hold nothing."""
    end = _checked(options.file)
    _make_missing(client, options.prefix)
    for table, name in names.items():
        if client.scan(TableName=name, Limit=1)["Items"]:
            raise TablesError(f"the table {name} ({table}) is not empty: restore into a prefix of its own")
    done = 0
    batch: list[tuple[str, Any]] = []
    for said in _said(options.file):
        if "item" in said:
            batch.append((names[said["table"]], said["item"]))
        if len(batch) == _BATCH or "end" in said:
            _put(client, batch)
            done += len(batch)
            batch = []
            _progress(done)
    assert done == sum(end.values()), "the file was checked"
    return f"{done} items restored; now: jatevo admin sweep --full, then jatevo admin audit for the last days"


def migrate(client: Any, names: dict[str, str], _options: argparse.Namespace) -> str:
    """Take every step that is not taken yet."""
    taken = Migrations(client, names, say=lambda text: print(text, file=sys.stderr)).run()
    return f"the tables are of version {taken}"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the commands and their options."""
    parser.description = _DESCRIPTION
    commands = parser.add_subparsers(metavar="{backup,restore,migrate}", required=True)
    for name, does, purpose in (
        ("backup", backup, "write all items into one file"),
        ("restore", restore, "put a backup into empty tables"),
        ("migrate", migrate, "bring what is stored to this version"),
    ):
        command = commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        command.set_defaults(does=does)
        if does is not migrate:
            command.add_argument("file", metavar="FILE")
        command.add_argument("--prefix", default=os.environ.get("JATEVO_TABLE_PREFIX", "jatevo"), help="of the tables")
        command.add_argument("--region", help="default: the one that AWS's own settings name")
        command.add_argument(
            "--local", action="store_true", help="the stack of `make run`; DATA says where its data is"
        )


def _client(options: argparse.Namespace) -> Any:
    if not options.local:
        endpoint = os.environ.get("JATEVO_DYNAMODB_ENDPOINT") or None
        return boto3.session.Session(region_name=options.region).client("dynamodb", endpoint_url=endpoint)
    file = Path(os.environ.get("DATA", ".local")) / "engine-url"
    try:
        endpoint = file.read_text().strip()
    except OSError as error:
        raise TablesError(f"{file} cannot be read: is the stack running there?") from error
    anybody = boto3.session.Session(
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - the engine of this machine asks for none
        region_name="us-east-1",
    )
    return anybody.client("dynamodb", endpoint_url=endpoint)


def _items(client: Any, name: str) -> Iterator[Any]:
    for page in client.get_paginator("scan").paginate(TableName=name, ConsistentRead=True):
        yield from page["Items"]


def _put(client: Any, batch: list[tuple[str, Any]]) -> None:
    requests: dict[str, list[Any]] = {}
    for name, item in batch:
        requests.setdefault(name, []).append({"PutRequest": {"Item": item}})
    while requests:
        requests = client.batch_write_item(RequestItems=requests).get("UnprocessedItems", {})


def _make_missing(client: Any, prefix: str) -> None:
    there = {name for page in client.get_paginator("list_tables").paginate() for name in page["TableNames"]}
    missing = [table for table in definitions(TableNames.with_prefix(prefix)) if table["TableName"] not in there]
    for table in missing:
        client.create_table(**table)
    for table in missing:
        client.get_waiter("table_exists").wait(TableName=table["TableName"], WaiterConfig={"Delay": 1})


def _checked(file: str) -> dict[str, int]:
    """Read a whole backup once, before anything is written. Raises TablesError."""
    head: Any = None
    counts: dict[str, int] = {}
    for said in _said(file):
        if head is None:
            head = said
            if said.get("format") != _FORMAT:
                raise TablesError(f"{file} is no backup that this version reads")
        elif "end" in said:
            if said["end"] != counts | {table: 0 for table in head["tables"] if table not in counts}:
                raise TablesError(f"{file} is damaged: it does not hold what it says")
            return counts
        else:
            counts[said["table"]] = counts.get(said["table"], 0) + 1
    raise TablesError(f"{file} ends too early: it is no whole backup")


def _said(file: str) -> Iterator[Any]:
    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line, object_hook=_bytes)
    except (OSError, EOFError, ValueError) as error:
        raise TablesError(f"{file} cannot be read: {error}") from error


def _line(out: IO[str], said: Any) -> None:
    out.write(json.dumps(said, default=_text, separators=(",", ":")) + "\n")


def _text(value: object) -> Any:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    raise TypeError(f"DynamoDB gave {type(value).__name__}")


def _bytes(said: dict[str, Any]) -> Any:
    return base64.b64decode(said["base64"]) if said.keys() == {"base64"} and isinstance(said["base64"], str) else said


def _progress(done: int) -> None:
    if done and done % _PROGRESS_EVERY == 0:
        print(f"{done} items", file=sys.stderr)
