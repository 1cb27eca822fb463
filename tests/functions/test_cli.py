"""
The command line against a gateway that serves: what it prints, what scripts read, how it exits.
"""

import asyncio
import csv
import json
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from jatevo_testing.served import served
from jatevo_testing.upstream import ScriptedUpstream, answering, usage
from jatevo_testing.world import World

from jatevo.bootstrap import Gateway
from jatevo_admin.handler import create_app
from jatevo_cli.main import main
from jatevo_local.ports import free_port

TOKEN = "operators-token-for-tests"
CATALOGUE = """
[[pools]]
id = "main"
base_url = "https://upstream.example/v1"

[[models]]
id = "test-model"
context_window = 8192
max_output_tokens = 2048
price = { input = "1.00", output = "2.00" }
routes = [{ pool = "main", model = "secret-upstream-model" }]
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.status == 0, self.err
        return json.loads(self.out)


type Run = Callable[..., Awaitable[Ran]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    async def command(*arguments: str) -> Ran:
        try:
            status = await asyncio.to_thread(main, arguments)
        except SystemExit as ended:
            status = int(ended.code or 0)
        return Ran(status, *capsys.readouterr())

    return command


@asynccontextmanager
async def serving(world: World, **settings: Any) -> AsyncIterator[str]:
    gateway = Gateway(replace(world.settings, operator_token=TOKEN, **settings), {})
    async with served(create_app(gateway)) as url:
        yield url
    gateway.close()


@pytest.fixture
async def admin(world: World, run: Run, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Run]:
    async with serving(world) as url:
        monkeypatch.setenv("JATEVO_URL", url)
        monkeypatch.setenv("JATEVO_ADMIN_TOKEN", TOKEN)

        async def command(*arguments: str) -> Ran:
            return await run("admin", *arguments)

        yield command


NEW = ("account", "create", "--name", "Ada", "--requests-per-day", "11", "--budget-usd-per-day", "11.00")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
async def test_a_shell_completes_every_topic(run: Run, shell: str) -> None:
    printed = await run("completion", shell)
    assert printed.status == 0
    for word in (
        "catalog",
        "statement",
        "--budget-usd-per-day",
        "sign-in",
        "erase",
        "--preflight",
        "--lambda",
        "--template",
        "migrate",
    ):
        assert word in printed.out
    executable = shutil.which(shell)
    if executable is None:
        pytest.skip(f"there is no {shell} here that could read it")
    checked = await asyncio.create_subprocess_exec(executable, "-n", stdin=asyncio.subprocess.PIPE)
    await checked.communicate(printed.out.encode())
    assert checked.returncode == 0, "the shell does not read it"


async def test_accounts(admin: Run) -> None:
    account = (await admin(*NEW, "--concurrency", "3", "--json")).json
    account_id = account["account_id"]
    assert (account["budget_nano_usd_per_day"], account["concurrency"], account["margin_bps"]) == (11 * 10**9, 3, None)
    for ways in (("account", "show", account_id), ("account", "show", "--account", account_id)):
        assert (await admin(*ways, "--json")).json == account
    changed = (await admin("--json", "account", "set", account_id, "--budget-usd-per-day", "$2.5", "--disable")).json
    assert (changed["budget_usd_per_day"], changed["enabled"], changed["requests_per_day"]) == ("2.50", False, 11)
    assert (await admin("account", "set", account_id, "--margin-bps", "250", "--json")).json["margin_bps"] == 250
    shown = await admin("account", "set", account_id, "--margin-bps", "default", "--enable")
    assert "margin           default" in shown.out
    listed = await admin("account", "list")
    assert listed.out.splitlines()[0].split()[:2] == ["account", "name"]
    assert f"{account_id}  Ada             11       $2.50            3  default  yes" in listed.out
    assert (await admin("account", "list", "--json")).json["accounts"][0]["account_id"] == account_id


async def test_keys(admin: Run, world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("hello", usage(10, 20))
    account_id = (await admin(*NEW, "--json")).json["account_id"]
    created = await admin(
        *("key", "create", "--account", account_id, "--name", "laptop", "--models", "test-model,tset-model"),
        *("--requests-per-day", "5", "--budget-usd-per-day", "1", "--expires", "30d", "--json"),
    )
    key = created.json
    assert "shown this once" in created.err
    assert "tset-model" in created.err
    assert (key["models"], key["requests_per_day"]) == (["test-model", "tset-model"], 5)
    assert 29 * 86_400 < key["expires_at_unix_s"] - key["created_at_unix_s"] <= 30 * 86_400
    body = {"model": "test-model", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"authorization": f"Bearer {key['key']}"}
    assert (await world.client.post("/v1/chat/completions", json=body, headers=headers)).status_code == 200

    window = (await admin("window", "show", "--account", account_id, "--json")).json
    ledger = (await admin("ledger", "list", "--account", account_id, "--json")).json
    assert window["requests_left"] == 10
    assert sum(entry["charge_nano_usd"] for entry in ledger["entries"]) == window["settled_nano_usd"] == 55_000
    assert "10 of 11" in (await admin("window", "show", account_id)).out
    assert "entries, charged $0.000055" in (await admin("ledger", "list", account_id)).out

    changed = await admin(
        *("key", "set", key["key_id"], "--requests-per-day", "none", "--models", "all", "--expires", "never", "--json")
    )
    assert [changed.json[name] for name in ("requests_per_day", "models", "expires_at_unix_s")] == [None] * 3
    assert changed.json["budget_usd_per_day"] == "1.00"
    listed = await admin("key", "list", "--account", account_id)
    assert key["key"] not in listed.out
    assert key["prefix"] in listed.out
    assert (await admin("key", "disable", key["key_id"], "--json")).json["enabled"] is False
    assert (await world.client.post("/v1/chat/completions", json=body, headers=headers)).status_code == 403
    assert "no, since 20" in (await admin("key", "list", account_id)).out


async def test_grants(admin: Run) -> None:
    account_id = (await admin(*NEW, "--json")).json["account_id"]
    assert "no grants" in (await admin("grants", account_id)).out
    give = ("grant", account_id, "--id", "invoice-7", "--reason", "paid by transfer")
    made = await admin(*give, "--amount-usd", "25.00")
    assert (made.status, "$25.00" in made.out, made.err) == (0, True, "")
    again = await admin(*give, "--amount-usd", "25.00")
    assert again.status == 0
    assert "nothing was added" in again.err
    other = await admin(*give, "--amount-usd", "26.00")
    assert (other.status, "of 25.00 USD" in other.err) == (1, True)
    back = ("grant", account_id, "--id", "c1", "--reason", "by mistake", "--correction", "--amount-usd")
    too_much = await admin(*back, "25.01")
    assert (too_much.status, "Only 25.00 USD" in too_much.err) == (1, True)
    assert (await admin(*back, "5", "--json")).json["amount_usd"] == "-5.00"
    late = await admin(*give[:2], "--id", "late", "--reason", "r", "--amount-usd", "1", "--not-after", "2020-01-01")
    assert (late.status, "expired" in late.err) == (1, True)

    balance = (await admin("grants", account_id, "--json")).json
    assert (balance["granted_usd"], balance["remaining_usd"]) == ("20.00", "20.00")
    assert {grant["grant_id"] for grant in balance["grants"]} == {"c1", "invoice-7"}
    shown = (await admin("grants", account_id)).out
    assert all(word in shown for word in ("$20.00", "invoice-7", "paid by transfer", "first"))
    assert (await admin("grants", "acct_nobody")).status == 1


async def test_quotas_and_resold_keys(admin: Run) -> None:
    account_id = (await admin(*NEW, "--requests-per-minute", "60", "--json")).json["account_id"]
    quotas = ("--requests-per-month", "300", "--budget-usd-per-month", "$99", "--reseller-margin-bps", "500")
    changed = (await admin("account", "set", account_id, *quotas, "--json")).json
    names = ("requests_per_minute", "requests_per_month", "budget_usd_per_month", "reseller_margin_bps")
    assert [changed[name] for name in names] == [60, 300, "99.00", 500]
    assert "$99.00" in (await admin("account", "show", account_id)).out
    none = [word for name in names for word in (f"--{name.replace('_', '-')}", "none")]
    assert [(await admin("account", "set", account_id, *none, "--json")).json[name] for name in names] == [None] * 4

    labels = ("--reseller-margin-bps", "750", "--labels", "customer=Bob,plan=gold")
    key = (await admin("key", "create", "--account", account_id, *labels, "--json")).json
    assert (key["reseller_margin_bps"], key["labels"]) == (750, {"customer": "Bob", "plan": "gold"})


async def test_a_resellers_customer_is_found_by_key_label_and_what_it_paid(
    admin: Run, world: World, upstream: ScriptedUpstream
) -> None:
    upstream.script = answering("hello", usage(10, 20))
    quotas = ("--requests-per-minute", "60", "--budget-usd-per-month", "99", "--margin-bps", "0")
    account_id = (await admin(*NEW, *quotas, "--json")).json["account_id"]
    await admin("grant", account_id, "--id", "g", "--amount-usd", "3", "--reason", "r")
    sold = ("--name", "Bob's", "--labels", "customer=Bob", "--reseller-margin-bps", "2000", "--requests-per-day", "5")
    key = (await admin("key", "create", "--account", account_id, *sold, "--json")).json
    body = {"model": "test-model", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"authorization": f"Bearer {key['key']}"}
    assert (await world.client.post("/v1/chat/completions", json=body, headers=headers)).status_code == 200

    by_key = await admin("statement", "show", account_id, "--by", "key")
    line = next(line for line in by_key.out.splitlines() if line.startswith(key["key_id"]))
    assert "customer=Bob" in line
    assert line.split()[-5:] == ["0.00005", "0.00", "0.00005", "0.00001", "0.00006"]
    assert "0.00005" in (await admin("statement", "show", account_id)).out

    beside = (await admin("window", "show", account_id, "--json")).json["beside"]
    told = {one["bounds"]: one for one in beside}
    assert sorted(told) == ["key", "minute", "month", "prepaid"]
    assert (told["month"]["budget_left_usd"], told["month"]["requests_left"]) == ("98.99995", None)
    assert (told["key"]["key_id"], told["key"]["requests_left"]) == (key["key_id"], 4)
    assert (told["key"]["settled_usd"], told["prepaid"]["budget_left_usd"]) == ("0.00006", "3.00")
    assert "98.99995 of $99.00" in (await admin("window", "show", account_id)).out


async def test_lanes_are_seen_at_a_glance(admin: Run, tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    divided = CATALOGUE.replace('v1"', 'v1"\nconcurrency = 10', 1)
    file.write_text(f'{divided}\n[[lanes]]\nid = "gold"\nrequests_per_day = 7\nguaranteed = {{ main = 4 }}\n')
    assert (await admin("catalog", "apply", str(file))).status == 0
    gold, shared = (await admin("lanes")).out.splitlines()[1:]
    assert "0 of 4 own in main" in gold
    assert "7 of 7 requests left" in gold
    assert "0 of 6 shared in main" in shared
    route = await admin("route", "--model", "gold/test-model")
    assert "gold" in route.out


async def test_the_books_are_audited_and_corrected(admin: Run, world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("hello", usage(10, 20))
    customer = world.customer()
    await world.chat(customer)
    day, account_id = world.today(), customer.account.id
    sound = await admin("audit", "--day", day)
    assert (sound.status, sound.out.strip().endswith("1 ledger entries: 0 differences")) == (0, True)
    world.dynamodb.update_item(
        TableName=world.names.windows,
        Key={"owner": {"S": account_id}, "period": {"S": day}},
        UpdateExpression="ADD settled :seven",
        ExpressionAttributeValues={":seven": {"N": "7"}},
    )
    differs = await admin("audit", "--day", day, "--account", account_id)
    assert differs.status == 1
    line = next(line for line in differs.out.splitlines() if line.startswith(account_id))
    assert line.split()[-3:] == ["settled_nano_usd", "55000", "55007"]
    corrected = await admin("correct", "--account", account_id, "--day", day, "--reason", "a drill")
    assert "settled_nano_usd: 55007 → 55000" in corrected.out
    assert (await admin("audit", "--day", day)).status == 0
    assert "a drill" in (await admin("corrections", account_id)).out
    assert (await admin("audit", "--day", "2020-01-01", "--scheduled")).status == 1


async def test_the_books_of_a_lane_are_corrected_once_its_day_was_audited(admin: Run, world: World) -> None:
    early = await admin("correct", "--lane", "gold", "--day", world.today(), "--reason", "a drill")
    assert (early.status, "has not been audited yet" in early.err) == (1, True)
    listed = await admin("corrections", "--lane", "gold")
    assert (listed.status, listed.out.strip()) == (0, "no corrections")
    assert (await admin("corrections", "--lane", "gold", "--account", "acct_x")).status == 2


async def test_a_days_statement_of_all_accounts(admin: Run, world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("hello", usage(10, 20))
    customers = [world.customer() for _ in range(2)]
    for customer in customers:
        await world.chat(customer)
    statement = (await admin("statement", "day", "--json")).json
    assert (statement["day"], statement["total"]["charge_usd"], len(statement["accounts"])) == (
        world.today(),
        "0.00011",
        2,
    )
    rows = list(csv.DictReader((await admin("statement", "day", "--csv")).out.splitlines()))
    assert {row["account"] for row in rows} == {customer.account.id for customer in customers}
    assert {(row["requests"], row["charge_usd"], row["top_models"]) for row in rows} == {
        ("1", "0.000055", "test-model")
    }
    assert (await admin("statement", "day", "--day", "2020-01-01")).out.strip().splitlines()[-1].startswith("total")


async def test_the_ledger_is_paged(admin: Run, world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("hello", usage(10, 20))
    customer = world.customer()
    for _ in range(3):
        await world.chat(customer)
    listing = ("ledger", "list", customer.account.id, "--json")
    whole = (await admin(*listing)).json
    first = await admin(*listing, "--limit", "2")
    rest = await admin(*listing, "--after", first.json["next"])
    assert first.json["entries"] + rest.json["entries"] == whole["entries"]
    assert f"--after {first.json['next']}" in first.err
    assert rest.json["next"] is None


async def test_the_catalogue(admin: Run, tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(CATALOGUE.replace('"1.00"', '"1.50"'))
    dry = await admin("catalog", "apply", str(file), "--dry-run")
    assert "~ model test-model: price.input 1.00 → 1.50" in dry.out
    assert "not applied: version 1 stays in force" in dry.out
    applied = (await admin("catalog", "apply", str(file), "--json")).json
    assert (applied["version"], applied["changed"]) == (2, True)
    assert "nothing to change: version 2 is in force" in (await admin("catalog", "apply", str(file))).out
    shown = await admin("catalog", "show")
    assert "version 2, applied" in shown.out
    assert "input 1.50, output 2.00" in shown.out
    assert (await admin("catalog", "show", "--version", "2", "--json")).json["applied_by"] == "first"


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (CATALOGUE.replace('"1.00"', "1.00"), 1, ["models[0].price.input: write it as an exact decimal string"]),
        (CATALOGUE.replace('"1.00"', "2026-11-23"), 1, ["models[0].price.input: "]),
        (CATALOGUE.replace('"1.00"', "nan"), 1, ["models[0].price.input: write it as"]),
        (
            CATALOGUE.replace('"2.00"', '"-2"').replace("8192", "0"),
            1,
            ["2 problems:", "price.output", "context_window"],
        ),
        ("", 1, ["models: missing"]),
        ("[[models", 2, ["catalog.toml is not TOML"]),
        ("a = " + "[" * 5000, 2, ["catalog.toml is not TOML"]),
    ],
)
async def test_a_bad_catalogue_file_is_refused(
    admin: Run, tmp_path: Path, content: str, status: int, words: list[str]
) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(content)
    ended = await admin("catalog", "apply", str(file))
    assert ended.status == status
    assert all(word in ended.err for word in words), ended.err
    assert ended.out == ""


async def test_operators(admin: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    token = (await admin("operator", "create", "--name", "ada", "--json")).json["token"]
    monkeypatch.setenv("JATEVO_ADMIN_TOKEN", token)
    assert "first" in (await admin("operator", "list")).out
    assert (await admin("operator", "disable", "first")).status == 0
    ended = await admin("operator", "disable", "ada")
    assert (ended.status, ended.err) == (
        1,
        "jatevo: This is the last enabled operator: create another one first.\n",
    )


async def test_looking_again_at_holdings(admin: Run) -> None:
    nothing = {"accounts": 0, "wallets": 0, "unread": 0, "failed": 0, "left": 0}
    assert (await admin("refresh", "--json")).json == nothing
    account = await admin(*NEW, "--json")
    assert account.json["account_id"] in (await admin("refresh", account.json["account_id"])).out
    assert "no token is configured" in (await admin("snapshot", "now")).err


async def test_an_account_is_handed_to_its_holdings_and_kept_from_them(admin: Run) -> None:
    account = (await admin(*NEW, "--json")).json["account_id"]
    handed = (await admin("account", "set", account, "--limits-from", "holdings", "--json")).json
    assert (handed["limits_from"], handed["requests_per_day"]) == ("holdings", 0)
    assert "limits from      operator" in (await admin("account", "set", account, "--requests-per-day", "5")).out
    refused = await admin("account", "set", account, "--limits-from", "holdings", "--requests-per-day", "5")
    assert (refused.status, "either set here or follow from holdings" in refused.err) == (1, True)


async def test_the_sweeper(admin: Run) -> None:
    nothing = {"windows": 0, "expired": 0, "applied": 0, "failed": 0}
    assert (await admin("sweep", "--json")).json == nothing
    assert (await admin("sweep", "--full", "--json")).json == nothing


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("account",),
        ("account", "create", "--name", "x"),
        (*NEW[:-1], "11.00", "--requests-per-day", "-5"),
        (*NEW, "--concurrency", "1.5"),
        ("account", "set", "acct_x"),
        ("key", "set", "key_x"),
        ("account", "show"),
        ("account", "set", "acct_x", "--enable", "--disable"),
        ("key", "create", "--account", "acct_x", "--expires", "soon"),
        ("key", "create", "--account", "acct_x", "--models", "a,,b"),
        ("window", "show", "--account", "acct_x", "--day", "yesterday"),
        ("ledger", "list", "--account", "acct_x", "--day", "20261123"),
        ("catalog", "apply", "no-such-file.toml"),
        ("nonsense",),
    ],
)
async def test_wrong_usage_exits_with_2(run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    monkeypatch.setenv("JATEVO_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("JATEVO_ADMIN_TOKEN", TOKEN)
    ended = await run("admin", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert "Traceback" not in ended.err
    assert "error: " in ended.err or ended.err.count("\n") == 1


async def test_a_refusal_exits_with_1_and_one_line(admin: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = await admin("account", "show", "../operators")
    assert (ended.status, ended.out) == (1, "")
    ended = await admin("account", "show", "acct_nobody")
    assert ended == Ran(1, "", "jatevo: There is no account 'acct_nobody'.\n")
    monkeypatch.setenv("JATEVO_ADMIN_TOKEN", "another-token")
    ended = await admin("account", "list")
    assert ended.status == 1
    assert ended.err == "jatevo: the gateway does not know this admin token: check JATEVO_ADMIN_TOKEN\n"


async def test_a_gateway_that_is_not_there_exits_with_3(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JATEVO_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("JATEVO_ADMIN_TOKEN", TOKEN)
    ended = await run("admin", "account", "list")
    assert (ended.status, ended.out, ended.err.count("\n")) == (3, "", 1)
    assert ended.err.startswith("jatevo: cannot reach http://127.0.0.1:")


async def test_another_server_is_told_from_a_gateway(
    run: Run, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def other(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<h1>Not here</h1>"})

    async with served(other) as url:
        monkeypatch.setenv("JATEVO_URL", url)
        monkeypatch.setenv("JATEVO_ADMIN_TOKEN", TOKEN)
        ended = await run("admin", "account", "list")
    assert ended == Ran(1, "", f"jatevo: {url} is no Jatevo Gateway, or not its admin API: 404, text/html\n")


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://127.0.0.1", "http://", "http://127.0.0.1:x", "http://[::1"])
async def test_a_url_that_is_none_is_said(run: Run, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("JATEVO_URL", url)
    ended = await run("admin", "account", "list")
    assert ended == Ran(2, "", f"jatevo: JATEVO_URL is no http or https URL: {url}\n")


async def test_the_local_token_is_found_and_stays_on_this_machine(
    world: World, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JATEVO_ADMIN_TOKEN", raising=False)
    monkeypatch.setenv("DATA", str(tmp_path))
    async with serving(world) as url:
        monkeypatch.setenv("JATEVO_URL", url)
        missing = await run("admin", "account", "list")
        assert missing.status == 2
        assert "set JATEVO_ADMIN_TOKEN" in missing.err
        (tmp_path / "admin-token").write_text(TOKEN + "\n")
        assert (await run("admin", "account", "list")).out == "no accounts\n"
    monkeypatch.setenv("JATEVO_URL", "https://gateway.example")
    ended = await run("admin", "account", "list")
    assert ended == Ran(2, "", "jatevo: no admin token for https://gateway.example: set JATEVO_ADMIN_TOKEN\n")


async def test_it_is_a_command_whose_reader_may_leave(admin: Run) -> None:
    account = (await admin(*NEW, "--json")).json
    script = f"{Path(sys.executable).with_name('jatevo')} admin account show {account['account_id']} --json | true"
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", f"set -o pipefail; {script}", stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")


async def test_the_service(admin: Run) -> None:
    assert (await admin("service")).out.splitlines()[0].split() == ["takes", "requests", "yes"]
    stopped = await admin("stop", "--reason", "a key leaked")
    assert "no, until it is resumed: stopped by first at" in stopped.out
    assert "'a key leaked'" in stopped.out
    assert (await admin("service", "--json")).json["taking_requests"] is False
    assert (await admin("resume", "--reason", "replaced", "--json")).json["taking_requests"] is True
    assert (await admin("resume", "--reason", "again")).status == 1
    set_ = await admin("ceiling", "250.00", "--reason", "a quiet month")
    assert "$0.00, 0% of the ceiling of $250.00" in set_.out
    assert (await admin("ceiling", "none", "--reason", "as set", "--json")).json["ceiling_usd"] is None
    assert (await admin("stop")).status == 2, "without a reason nothing is stopped"
