"""The life of an execution environment: initialisation, snapshots, termination, and where streams are not possible."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jatevo_testing.lambda_stream import answer_of, event_of, taken_apart, until

from jatevo_local.lambda_api import LambdaFunction
from jatevo_local.lambda_api.calls import BrokenStream, Failure, Reply

LAYER = Path(__file__).parents[2] / "layers" / "response_stream"


async def init_failure(start: Any, handler: str, **options: Any) -> tuple[Failure, list[str]]:
    """How Lambda hears of a failed initialisation, and what stands in the log."""
    async with start(handler, **options) as function:
        failure = await function.invoke(event_of("/"))
        assert isinstance(failure, Failure)
        return failure, function.log().splitlines()


@pytest.mark.parametrize(
    ("handler", "kind", "message"),
    [
        ("no_such_module.app", "Runtime.ImportModuleError", "cannot import 'no_such_module'"),
        ("broken_import.app", "Runtime.ImportModuleError", "No module named 'there_is_no_such_module'"),
        ("broken_settings.create_app", "SettingsError", "TABLE_NAME must be set"),
        ("zoo.no_such_app", "Runtime.HandlerNotFound", "there is no 'no_such_app' in 'zoo'"),
        ("zoo", "Runtime.MalformedHandlerName", "must be module.attribute"),
        ("odd.number", "Runtime.NotAnApp", "neither an ASGI app nor a factory"),
        ("odd.takes_two", "Runtime.NotAnApp", "neither an ASGI app nor a factory"),
        ("odd.factory_of_nothing", "Runtime.NotAnApp", "did not return an ASGI app but NoneType"),
        ("odd.app_that_cannot_start", "Runtime.StartupFailed", "StoreError: the table is missing"),
    ],
)
async def test_an_app_that_cannot_be_set_up_is_one_clear_line(
    start: Any, handler: str, kind: str, message: str
) -> None:
    failure, log = await init_failure(start, handler)
    assert failure.kind == kind
    assert message in failure.detail["errorMessage"]
    assert len(log) == 1
    assert f"{kind}: " in log[0]
    assert message in log[0]


async def test_a_syntax_error_is_one_clear_line(start: Any, tmp_path: Path) -> None:
    (tmp_path / "broken_syntax.py").write_text("def create_app(:\n")
    failure, log = await init_failure(start, "broken_syntax.create_app", code=tmp_path)
    assert failure.kind == "Runtime.UserCodeSyntaxError"
    assert len(log) == 1
    assert "cannot read 'broken_syntax'" in log[0]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"AWS_LAMBDA_MAX_CONCURRENCY": "16"}, "one invocation at a time"),
        ({"RESPONSE_STREAM_MODE": "sideways"}, "RESPONSE_STREAM_MODE must be one of"),
        ({"RESPONSE_STREAM_DEADLINE_MARGIN_MS": "-1"}, "RESPONSE_STREAM_DEADLINE_MARGIN_MS must be a whole number"),
    ],
)
async def test_a_setting_that_cannot_be_obeyed_is_one_clear_line(
    start: Any, environment: dict[str, str], message: str
) -> None:
    failure, log = await init_failure(start, "zoo.app", environment=environment)
    assert message in failure.detail["errorMessage"]
    assert len(log) == 1


@pytest.mark.parametrize("handler", ["odd.App", "odd.app_without_lifespan", "zoo.create_app", "zoo.app"])
async def test_apps_factories_and_apps_without_a_lifespan_are_served(start: Any, handler: str) -> None:
    async with start(handler) as function:
        prelude, payload = await taken_apart(await function.invoke(event_of("/empty")))
        assert prelude["statusCode"] in {200, 202}
        assert payload == ([b"\n"] if handler.startswith("zoo") else [b"no state"])


async def test_the_app_is_found_without_a_python_path_and_so_is_what_the_runtime_carries(
    start: Any, tmp_path: Path
) -> None:
    code, runtime = tmp_path / "task", tmp_path / "runtime"
    for folder in (code, runtime):
        folder.mkdir()
    (code / "main.py").write_text("import carried\nfrom odd import app_without_lifespan as app\n")
    (code / "odd.py").write_text((LAYER.parents[1] / "tests/lambda_stream/apps/odd.py").read_text())
    (runtime / "carried.py").touch()
    environment = {"PYTHONPATH": "", "LAMBDA_RUNTIME_DIR": str(runtime)}
    async with start("main.app", code=code, environment=environment) as function:
        _, payload = await taken_apart(await function.invoke(event_of("/")))
        assert payload == [b"no state"]


async def test_logs_are_json_where_lambda_wants_them_so(start: Any) -> None:
    environment = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}
    async with start("zoo.app", environment=environment) as function:
        await answer_of(function, "/log")
        await until(lambda: "zoo" in function.log())
        record = json.loads(function.log().splitlines()[-1])
        assert (record["level"], record["logger"], record["message"]) == ("WARNING", "zoo", "two\nlines")
        assert len(record["requestId"]) == 36


async def test_a_termination_signal_lets_the_lifespan_end(start: Any) -> None:
    async with start("zoo.app") as function:
        await answer_of(function, "/status")
        os.kill(function.environments[0].pid, signal.SIGTERM)
        await until(lambda: not function.environments)
        assert function.log().splitlines() == ["startup", "shutdown"]


async def test_a_termination_signal_ends_the_response_under_way_as_failed(start: Any) -> None:
    async with start("zoo.app") as function:
        await answer_of(function, "/status")
        reply = await function.invoke(event_of("/quiet"))
        assert isinstance(reply, Reply)
        os.kill(function.environments[0].pid, signal.SIGTERM)
        _, payload = await taken_apart(reply)
        assert payload == [b"first"]
        assert reply.trailers["lambda-runtime-function-error-type"] == "Runtime.Terminated"
        await until(lambda: not function.environments)
        assert function.log().splitlines()[-1] == "shutdown"


async def test_a_process_that_dies_midway_is_seen_as_broken_and_replaced(start: Any) -> None:
    async with start("zoo.app") as function:
        await answer_of(function, "/status")
        reply = await function.invoke(event_of("/quiet"))
        assert isinstance(reply, Reply)
        os.kill(function.environments[0].pid, signal.SIGKILL)
        with pytest.raises(BrokenStream):
            await reply.whole()
        await answer_of(function, "/status")
        assert function.cold_starts == 2


async def test_calls_wait_their_turn_where_there_is_one_environment(start: Any) -> None:
    async with start("zoo.app") as function:
        answers = await asyncio.gather(*(answer_of(function, "/status") for _ in range(5)))
        assert len({answer["pid"] for answer in answers}) == 1
        assert sorted(answer["served"] for answer in answers) == [1, 2, 3, 4, 5]


async def test_a_pool_of_environments_serves_side_by_side_and_stays_warm(start: Any) -> None:
    async with start("zoo.app", most_environments=2) as function:
        replies = [await function.invoke(event_of("/quiet")) for _ in range(2)]
        assert function.cold_starts == 2
        for environment in function.environments:
            os.kill(environment.pid, signal.SIGTERM)
        for reply in replies:
            assert isinstance(reply, Reply)
            await reply.discard()


async def test_hooks_run_before_the_snapshot_in_reverse_and_after_the_restore_in_order(start: Any) -> None:
    async with start("zoo.app", snap_start=True) as function:
        await answer_of(function, "/status")
        assert [line for line in function.log().splitlines() if line != "startup"] == [
            "hook: before 2",
            "hook: before 1",
            "hook: after 1",
            "hook: after 2",
        ]
        paths = [head.target.rpartition("runtime")[2] for head in function.environments[0].api.requests[:2]]
        assert paths == ["/restore/next", "/invocation/next"]


@pytest.mark.parametrize(
    ("hook", "kind"), [("before 1", "Runtime.BeforeSnapshotError"), ("after 2", "Runtime.AfterRestoreError")]
)
async def test_a_hook_that_fails_is_reported(start: Any, hook: str, kind: str) -> None:
    failure, log = await init_failure(start, "zoo.app", snap_start=True, environment={"FAILING_HOOK": hook})
    assert failure.kind == kind
    assert f"{hook} went wrong" in failure.detail["errorMessage"]
    assert f"{hook} went wrong" in log[-1]


async def test_without_snap_start_no_hook_runs(zoo: LambdaFunction) -> None:
    await answer_of(zoo, "/status")
    assert "hook" not in zoo.log()


@pytest.mark.parametrize(
    "environment",
    [{"AWS_SAM_LOCAL": "true"}, {"AWS_LAMBDA_LOG_STREAM_NAME": "$LATEST"}, {"RESPONSE_STREAM_MODE": "buffered"}],
)
async def test_local_emulators_get_the_classic_answer_in_one_piece(start: Any, environment: dict[str, str]) -> None:
    async with start("zoo.app", environment=environment) as function:
        whole = await function.invoke(event_of("/slow"))
        assert isinstance(whole, Reply)
        assert not whole.streamed
        assert json.loads(await whole.whole()) == {
            "statusCode": 200,
            "headers": {"content-type": "text/plain"},
            "multiValueHeaders": {},
            "body": "01234",
            "isBase64Encoded": False,
        }
        with_headers = await function.invoke(event_of("/headers"))
        assert isinstance(with_headers, Reply)
        document = json.loads(await with_headers.whole())
        assert document["multiValueHeaders"]["set-cookie"] == ["a=1; Path=/", "b=2; Path=/"]
        assert document["headers"]["x-latin"] == "caf\u00e9"
        failure = await function.invoke(event_of("/fail-midway"))
        assert isinstance(failure, Failure)


def test_the_loop_imports_neither_the_product_nor_mangum_nor_an_http_library() -> None:
    code = "import sys, lambda_response_stream.runtime; print(*sys.modules)"
    environment = {"PYTHONPATH": str(LAYER)}
    output = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in output.stdout.split()}
    assert not loaded & {"jatevo", "mangum", "http", "urllib3", "httpx", "email"}


def test_the_wrapper_is_executable() -> None:
    assert os.access(LAYER / "response-stream", os.X_OK)
    assert (LAYER / "response-stream").stat().st_mode & 0o777 == 0o755
