"""
What the environment says: read once, checked at once. A wrong setting is one clear line, `SettingsError`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from jatevo.adapters.telemetry.logs import FORMATS, LEVELS, set_up_logs
from jatevo.adapters.wire.errors import ErrorWording
from jatevo.application.reservations import Policy
from jatevo.domain.breaker import Rules
from jatevo.domain.entitlement import EntitlementPolicy
from jatevo.domain.holdings import Token, token_from_text
from jatevo.domain.money import MoneyError, parse_usd
from jatevo.domain.price_rules import PriceRules, rules_from_text
from jatevo.domain.sign_in import ChainIds, Site, site_at
from jatevo.domain.wallets import Namespace
from jatevo.domain.windows import Limits

if TYPE_CHECKING:
    from jatevo.application.playground import PlaygroundPolicy


JTVO = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/token:9VY2rDbtsBmTsBxoRF8hWSEUKGqnoQoe9V6W3JnjNgfm"
"""The real token, by its mint: others use its name."""
_ETHEREUM = 1
_SHORTEST_LEDGER_DAYS = 100
"""Longer than a month's window and its audits may need."""


class SettingsError(ValueError):
    """The environment is not usable; the text is one line that says what to set."""


@dataclass(frozen=True, slots=True)
class Settings:
    """
    What the environment says, by variable name: `JATEVO_` and the field's name in capitals. Durations end in their
    unit. All have defaults; on AWS the template sets them.
    """

    region: str = "us-east-1"
    dynamodb_endpoint: str = ""
    """Empty: AWS's own endpoint of the region."""
    table_prefix: str = "jatevo"
    upstream_deadline_s: int = 600
    upstream_idle_s: int = 120
    reservation_grace_s: int = 30
    margin_bps: int = 1000
    exposure_cap_bps: int = 10_000
    directory_keep_ms: int = 10_000
    heartbeat_s: int = 15
    failover_s: int = 180
    """No further route is tried later than this after a reservation."""
    breaker_failures: int = 3
    """Failures of a pool within half a minute that take it out of use for a while; 0: nothing does."""
    breaker_cooldown_s: int = 5
    """For how long at first; twice that each time it fails again."""
    only_lane: str = ""
    """The one lane that this process serves; empty for all."""
    window_retention_days: int = 90
    ledger_retention_days: int = 0
    """How long decisions are kept; 0: for ever."""
    top_up_url: str = ""
    operator_token: str = ""
    """Makes the first operator, and follows it when it changes; the token, or `ssm:` or `secret:` and where it is."""
    public_url: str = ""
    """Where people reach the gateway, its stage included; or `ssm:` and where that is kept. Empty: nobody signs in."""
    session_s: int = 43_200
    """How long a session lasts."""
    evm_chain_id: int = 0
    """
    The EVM chain whose wallets sign in, and on which contract wallets are asked; 0: the token's, else Ethereum.

    With a token it can only be the token's: an address that is one person's contract on one chain may be another's on
    another, so who answers for a wallet must be asked where its tokens are.
    """
    evm_rpc_urls: str = ""
    """Nodes of that chain, comma separated, in the order in which they are tried; or `ssm:` and where they are kept."""
    evm_token: str = ""
    """The ERC-20 token whose holders have budgets, `eip155:8453/erc20:0x…`; empty for none."""
    evm_confirmations: int = 12
    """Blocks above the one that balances are read of."""
    solana_token: str = JTVO
    """The mint whose holders have budgets, on the cluster whose genesis hash begins so; empty for none."""
    solana_rpc_urls: str = ""
    """Nodes of that cluster, as for EVM chains. Empty: its holders have none."""
    chain_lag_s: int = 300
    """A node whose latest moment is further away than this is not believed; 0: any age will do."""
    solana_cluster: str = "mainnet"
    """What a text for Solana wallets names as its chain."""
    cors_origin: str = ""
    """The origin whose pages may read answers; empty for none. Read by the Lambda entry points."""

    price_sources: str = ""
    """The oracle's sources, JSON: see `adapters.prices.configuration`. Empty: an operator's rate is all there is."""
    responses_bucket: str = ""
    """An S3 bucket for responses that are too large for a table; empty: those are not kept."""

    price_rules: str = ""
    """Bounds of the oracle that differ from the defaults: `quorum=3,rise_bps=1000`; see `domain.price_rules`."""
    price_history_days: int = 90
    entitlement_budget_bps: int = 10_000
    """What holdings earn, as in `domain.entitlement`: dollars a day for dollars held, requests, least, most."""
    entitlement_requests_per_1000_usd: int = 1000
    entitlement_minimum_usd: str = "1.00"
    entitlement_wallet_cap_usd: str = "10000.00"
    entitlement_account_cap_usd: str = "50000.00"
    entitlement_account_cap_requests: int = 50_000
    entitlement_starter_requests: int = 0
    entitlement_starter_usd: str = "0.00"

    log_format: str = "json"
    """`json` or `text`: how lines of the log are written."""
    log_level: str = "INFO"
    """From which level on: DEBUG, INFO, WARNING or ERROR. Nothing private is in any of them."""
    metrics: str = "off"
    """Where metrics go, a line in CloudWatch's embedded format at a time: `stdout`, a file's path, or `off`."""

    traces: str = "off"
    """Where traces go: a collector's address for OTLP over HTTP, such as http://127.0.0.1:4318, `stdout`, or `off`."""
    traces_authorization: str = ""
    """The authorization header that the collector wants, by reference: `env:`, `ssm:` or `secret:`; empty for none."""
    day_ceiling_usd: str = "0.00"
    """What a day may cost at most, margins included, before no more requests are taken; 0.00: no ceiling."""

    playground: str = "off"
    """`on`: visitors without a key may try the models, within what follows."""
    playground_requests_per_day: int = 1000
    playground_usd_per_day: str = "1.00"
    playground_concurrency: int = 8
    playground_visitor_requests_per_day: int = 10
    playground_visitor_usd_per_day: str = "0.02"
    playground_models: str = ""
    """Their ids, with commas between; empty: all that everybody may use."""

    @property
    def playground_policy(self) -> "PlaygroundPolicy | None":
        """What visitors may use; None: there is no playground. Raises SettingsError."""
        from jatevo.application.playground import PlaygroundPolicy

        if self.playground not in {"off", "on"}:
            raise SettingsError(f"JATEVO_PLAYGROUND is on or off, not {self.playground!r}")
        if self.playground != "on":
            return None
        models = frozenset(filter(None, (name.strip() for name in self.playground_models.split(","))))
        return PlaygroundPolicy(
            limits=Limits(
                self.playground_requests_per_day,
                _usd("PLAYGROUND_USD_PER_DAY", self.playground_usd_per_day),
                self.playground_concurrency,
            ),
            visitor=Limits(
                self.playground_visitor_requests_per_day,
                _usd("PLAYGROUND_VISITOR_USD_PER_DAY", self.playground_visitor_usd_per_day),
                concurrency=2,  # an answer that was stopped may still be read to its end when the next prompt comes
            ),
            models=models or None,
        )

    @property
    def day_ceiling_nano_usd(self) -> int:
        """What a day may cost in all; 0: anything. Raises SettingsError."""
        return _usd("DAY_CEILING_USD", self.day_ceiling_usd)

    @property
    def entitlement_policy(self) -> EntitlementPolicy:
        return EntitlementPolicy(
            budget_bps=self.entitlement_budget_bps,
            requests_per_1000_usd=self.entitlement_requests_per_1000_usd,
            minimum_nano_usd=_usd("ENTITLEMENT_MINIMUM_USD", self.entitlement_minimum_usd),
            wallet_cap_nano_usd=_usd("ENTITLEMENT_WALLET_CAP_USD", self.entitlement_wallet_cap_usd),
            account_cap_nano_usd=_usd("ENTITLEMENT_ACCOUNT_CAP_USD", self.entitlement_account_cap_usd),
            account_cap_requests=self.entitlement_account_cap_requests,
            starter_requests=self.entitlement_starter_requests,
            starter_nano_usd=_usd("ENTITLEMENT_STARTER_USD", self.entitlement_starter_usd),
        )

    @property
    def chain_ids(self) -> ChainIds:
        """The chains whose wallets sign in. Raises SettingsError."""
        token = token_of("EVM_TOKEN", self.evm_token, Namespace.EIP155)
        of_token = 0 if token is None else int(token.chain)
        if self.evm_chain_id and of_token and self.evm_chain_id != of_token:
            raise SettingsError(
                f"JATEVO_EVM_CHAIN_ID is {self.evm_chain_id}, and JATEVO_EVM_TOKEN is on the chain {of_token}: wallets "
                "sign in on the chain of the token"
            )
        return ChainIds(self.evm_chain_id or of_token or _ETHEREUM, self.solana_cluster)

    @property
    def policy(self) -> Policy:
        return Policy(
            upstream_deadline_s=self.upstream_deadline_s,
            grace_s=self.reservation_grace_s,
            margin_bps=self.margin_bps,
            exposure_cap_bps=self.exposure_cap_bps,
        )

    @property
    def bounds_of_prices(self) -> PriceRules:
        """The oracle's bounds. Raises SettingsError."""
        try:
            return rules_from_text(self.price_rules)
        except ValueError as error:
            raise SettingsError(f"JATEVO_PRICE_RULES: {error}") from error

    def set_up_logs(self) -> None:
        """Write this process's log as the settings say."""
        set_up_logs(self.log_format, self.log_level)

    @property
    def breaker_rules(self) -> Rules:
        return Rules(failures=self.breaker_failures, cooldown_ms=self.breaker_cooldown_s * 1000)

    @property
    def wording(self) -> ErrorWording:
        return ErrorWording(top_up_url=self.top_up_url or None)


def settings_from(environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of an environment, the process's own by default. Raises SettingsError."""
    environment = os.environ if environment is None else environment
    values: dict[str, str | int] = {}
    for setting in fields(Settings):
        name = f"JATEVO_{setting.name.upper()}"
        if setting.name == "region":
            values["region"] = environment.get(name) or environment.get("AWS_REGION") or "us-east-1"
        elif name in environment:
            values[setting.name] = environment[name] if setting.type is str else _count(name, environment[name])
    settings = Settings(**values)  # type: ignore[arg-type]
    _check_texts(settings)
    return settings


def _check_texts(settings: Settings) -> None:
    """Read every setting that is more than a number once. Raises SettingsError."""
    if settings.public_url and not is_reference(settings.public_url):
        site_of(settings.public_url)
    if settings.log_format not in FORMATS or settings.log_level not in LEVELS:
        raise SettingsError(f"JATEVO_LOG_FORMAT is one of {FORMATS}, JATEVO_LOG_LEVEL one of {LEVELS}")
    if 0 < settings.ledger_retention_days < _SHORTEST_LEDGER_DAYS:
        raise SettingsError(f"JATEVO_LEDGER_RETENTION_DAYS must be 0, for ever, or at least {_SHORTEST_LEDGER_DAYS}")
    _ = settings.entitlement_policy, settings.bounds_of_prices, settings.chain_ids, settings.day_ceiling_nano_usd
    token_of("SOLANA_TOKEN", settings.solana_token, Namespace.SOLANA)


def site_of(url: str) -> Site:
    """Return the site at an address. Raises SettingsError."""
    site = site_at(url)
    if site is None:
        raise SettingsError(
            f"JATEVO_PUBLIC_URL must be like https://api.example.com/prod (http on this machine only), not {url!r}"
        )
    return site


def is_reference(value: str) -> bool:
    """Return whether a setting says where its value is kept, rather than what it is."""
    return value.startswith(("ssm:", "secret:"))


def _count(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise SettingsError(f"{name} must be a whole number, not {text!r}")
    return int(text)


def _usd(name: str, text: str) -> int:
    try:
        return parse_usd(text)
    except MoneyError as error:
        raise SettingsError(f"JATEVO_{name}: {error}") from error


def token_of(name: str, text: str, namespace: Namespace) -> Token | None:
    """Return the token that a setting names, None for an empty one. Raises SettingsError."""
    token = token_from_text(text) if text else None
    if text and (token is None or token.namespace is not namespace):
        form = "eip155:8453/erc20:0x…" if namespace is Namespace.EIP155 else "solana/token:9VY2…"
        raise SettingsError(f"JATEVO_{name} must be a token such as {form}, not {text[:128]!r}")
    return token
