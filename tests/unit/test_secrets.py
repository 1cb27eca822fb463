"""Secrets by reference: fetched once, kept, renewed, and never in the text of an error."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from jatevo_testing.clocks import ManualClock

from jatevo.adapters.secrets import Secrets, SecretUnavailable
from jatevo.bootstrap import Gateway, Settings, SettingsError


class Store:
    """Parameter Store and Secrets Manager; `failing` makes every call fail."""

    def __init__(self) -> None:
        self.values = {"/stack/pools/main": "first-value"}
        self.asked: list[tuple[str, str]] = []
        self.failing: Exception | None = None

    def client(self, service: str) -> Any:
        self.service = service
        return self

    def get_parameter(self, *, Name: str, WithDecryption: bool) -> Any:  # noqa: N803 - the service's names
        assert WithDecryption
        return {"Parameter": {"Value": self._value(Name)}}

    def get_secret_value(self, *, SecretId: str) -> Any:  # noqa: N803 - same
        return {"SecretString": self._value(SecretId)}

    def _value(self, name: str) -> str:
        self.asked.append((self.service, name))
        if self.failing is not None:
            raise self.failing
        if name not in self.values:
            raise ClientError({"Error": {"Code": "ParameterNotFound", "Message": "no"}}, "GetParameter")
        return self.values[name]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def lookup(store: Store, clock: ManualClock) -> Callable[[str], str | None]:
    return Secrets({"POOL_KEY": "from-environment"}, clock, "us-east-1", client=store.client)


def test_an_env_reference_reads_the_environment_and_asks_nobody(lookup: Secrets, store: Store) -> None:
    assert lookup("env:POOL_KEY") == "from-environment"
    assert lookup("env:OTHER") is None
    assert store.asked == []


@pytest.mark.parametrize(("kind", "service"), [("ssm", "ssm"), ("secret", "secretsmanager")])
def test_a_secret_is_fetched_once_and_then_kept(lookup: Secrets, store: Store, kind: str, service: str) -> None:
    assert [lookup(f"{kind}:/stack/pools/main") for _ in range(3)] == ["first-value"] * 3
    assert store.asked == [(service, "/stack/pools/main")]


def test_a_rotated_secret_comes_into_use_after_five_minutes(lookup: Secrets, store: Store, clock: ManualClock) -> None:
    lookup("ssm:/stack/pools/main")
    store.values["/stack/pools/main"] = "second-value"
    clock.advance(299)
    assert lookup("ssm:/stack/pools/main") == "first-value"
    clock.advance(2)
    assert lookup("ssm:/stack/pools/main") == "second-value"


def test_a_known_secret_outlives_its_store(lookup: Secrets, store: Store, clock: ManualClock) -> None:
    lookup("ssm:/stack/pools/main")
    store.failing = EndpointConnectionError(endpoint_url="https://ssm.example")
    clock.advance(301)
    assert lookup("ssm:/stack/pools/main") == "first-value"


def test_a_secret_that_cannot_be_read_is_one_line_that_names_it(lookup: Secrets, store: Store) -> None:
    with pytest.raises(SecretUnavailable, match=r"^ssm:/stack/other cannot be read: ParameterNotFound$"):
        lookup("ssm:/stack/other")
    store.failing = EndpointConnectionError(endpoint_url="https://ssm.example")
    with pytest.raises(SecretUnavailable, match=r"^ssm:/stack/pools/main cannot be read: EndpointConnectionError$"):
        lookup("ssm:/stack/pools/main")


def test_an_operator_token_that_cannot_be_read_ends_the_start_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9")
    gateway = Gateway(Settings(operator_token="ssm:/stack/operator-token"))
    with pytest.raises(SettingsError, match=r"^JATEVO_OPERATOR_TOKEN: ssm:/stack/operator-token cannot be read: "):
        gateway.administration()
    gateway.close()
