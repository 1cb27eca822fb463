"""What a client says in a header and gets back never ends a line, whatever brought it here."""

import pytest
from jatevo_testing.world import World

CODEX = b"/backend-api/codex/responses"


@pytest.mark.parametrize("said", [b"a\r\nset-cookie: x=1", b"a\nb", b"a\rb", b"a\x00b", b"\r\n", b"a\n"])
async def test_a_header_that_would_end_its_line_is_not_given_back(world: World, said: bytes) -> None:
    """A real server never lets one through; the JSON events of Lambda could."""
    heads: list[list[tuple[bytes, bytes]]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            heads.append(message["headers"])  # type: ignore[arg-type]

    names = (b"x-codex-turn-state", b"x-request-id", b"traceparent", b"origin", b"x-client-request-id")
    headers = [(b"authorization", b"Bearer " + said), *((name, said) for name in names)]
    scope = {"type": "http", "method": "POST", "path": CODEX.decode(), "headers": headers, "query_string": b""}
    await world.app(scope, receive, send)  # type: ignore[arg-type]
    (head,) = heads
    assert b"x-codex-turn-state" in dict(head)
    for _, value in head:
        assert not set(value) & set(b"\r\n\x00")
