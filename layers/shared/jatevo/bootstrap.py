"""
From the environment to wired objects: the only reader of `os.environ`, and the only place that knows every class.

Settings are checked when they are read: a wrong one is one clear line, `SettingsError`. Each method of `Gateway`
imports only what its function needs, so that no function pays for another's; this module imports nothing of AWS.
"""

import asyncio
import os
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jatevo.adapters.secrets import Secrets, SecretUnavailable
from jatevo.adapters.system import SystemClock, SystemRandomness
from jatevo.adapters.telemetry.chronicle import RequestLog
from jatevo.adapters.telemetry.emf import EmfMeter
from jatevo.adapters.telemetry.lines import FileLines, to_standard_output
from jatevo.adapters.telemetry.logs import FORMATS, LEVELS, set_up_logs
from jatevo.adapters.wire.errors import ErrorWording
from jatevo.application.access import Access
from jatevo.application.counters import Counters
from jatevo.application.health import Health
from jatevo.application.holdings import BalanceReader, ChainUnavailable
from jatevo.application.meter import Meter, NoMeter
from jatevo.application.ports import Clock, StoreError
from jatevo.application.reservations import Policy
from jatevo.application.sweeper import Sweeper
from jatevo.domain.accounts import Account
from jatevo.domain.breaker import Rules
from jatevo.domain.entitlement import EntitlementPolicy
from jatevo.domain.holdings import Token, token_from_text
from jatevo.domain.money import MoneyError, parse_usd
from jatevo.domain.price_rules import PriceRules, rules_from_text
from jatevo.domain.sign_in import ChainIds, Site, site_at
from jatevo.domain.wallets import Namespace
from jatevo.domain.windows import Limits

if TYPE_CHECKING:
    from jatevo.adapters.dynamodb.holdings import DynamoHoldings
    from jatevo.adapters.dynamodb.responses import Objects
    from jatevo.adapters.telemetry.tracing import Tracer
    from jatevo.application.administration import Administration
    from jatevo.application.administration.checkup import Checkup
    from jatevo.application.administration.operators import FirstOperator
    from jatevo.application.administration.prices import PriceAdministration
    from jatevo.application.administration.routes import Routes
    from jatevo.application.administration.service import ServiceSwitch
    from jatevo.application.day_audits import DayAudits
    from jatevo.application.entitlements import Entitlements
    from jatevo.application.histories import Histories
    from jatevo.application.holdings import Readers
    from jatevo.application.holdings_refresh import HoldingsRefresh
    from jatevo.application.inference import Inference
    from jatevo.application.playground import Playground, PlaygroundPolicy
    from jatevo.application.price_updates import PriceUpdates
    from jatevo.application.prices import Prices, PriceStore
    from jatevo.application.reconciliation import Reconciliation
    from jatevo.application.registry import Registry
    from jatevo.application.self_service import SelfService
    from jatevo.application.sessions import Sessions
    from jatevo.application.showcase import Showcase
    from jatevo.application.snapshots import Snapshots
    from jatevo.application.spending import DailySpend
    from jatevo.application.usage import UsageReports


JTVO = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/token:9VY2rDbtsBmTsBxoRF8hWSEUKGqnoQoe9V6W3JnjNgfm"
"""The real token, by its mint: others use its name."""
_ETHEREUM = 1
_SHORTEST_LEDGER_DAYS = 100
"""Longer than a month's window and its audits may need."""
_SNAPSHOTS_KEPT_S = 14 * 86_400
"""Far longer than a snapshot counts, so that an operator can look into what a budget came from."""


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
        token = _token("EVM_TOKEN", self.evm_token, Namespace.EIP155)
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
    if settings.public_url and not _is_reference(settings.public_url):
        _site(settings.public_url)
    if settings.log_format not in FORMATS or settings.log_level not in LEVELS:
        raise SettingsError(f"JATEVO_LOG_FORMAT is one of {FORMATS}, JATEVO_LOG_LEVEL one of {LEVELS}")
    _usd("DAY_CEILING_USD", settings.day_ceiling_usd)
    if 0 < settings.ledger_retention_days < _SHORTEST_LEDGER_DAYS:
        raise SettingsError(f"JATEVO_LEDGER_RETENTION_DAYS must be 0, for ever, or at least {_SHORTEST_LEDGER_DAYS}")
    _ = settings.entitlement_policy, settings.bounds_of_prices, settings.chain_ids
    _token("SOLANA_TOKEN", settings.solana_token, Namespace.SOLANA)


def _site(url: str) -> Site:
    site = site_at(url)
    if site is None:
        raise SettingsError(
            f"JATEVO_PUBLIC_URL must be like https://api.example.com/prod (http on this machine only), not {url!r}"
        )
    return site


def _is_reference(value: str) -> bool:
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


def _token(name: str, text: str, namespace: Namespace) -> Token | None:
    token = token_from_text(text) if text else None
    if text and (token is None or token.namespace is not namespace):
        form = "eip155:8453/erc20:0x…" if namespace is Namespace.EIP155 else "solana/token:9VY2…"
        raise SettingsError(f"JATEVO_{name} must be a token such as {form}, not {text[:128]!r}")
    return token


def _first_operator(token: str) -> "FirstOperator | None":
    from jatevo.application.administration.operators import FirstOperator

    try:
        return FirstOperator(token) if token else None
    except ValueError as error:
        raise SettingsError(f"JATEVO_OPERATOR_TOKEN: {error}") from error


class Process:
    """What a function that calls nobody needs."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.randomness = SystemRandomness()
        self.meter = self._meter()

    def request_log(self, function: str, tracer: "Tracer | None" = None) -> RequestLog:
        """Return what tells of the requests of a function."""
        return RequestLog(function, self.meter, None if tracer is None else tracer.told)

    def _meter(self) -> Meter:
        to = self.settings.metrics
        if to == "off":
            return NoMeter()
        write = to_standard_output if to == "stdout" else FileLines(Path(to))
        return EmfMeter(self.settings.table_prefix, self.clock, write)


class Gateway(Process):
    """The objects that functions share, made once per process."""

    def __init__(
        self, settings: Settings, environment: Mapping[str, str] | None = None, *, clock: Clock | None = None
    ) -> None:
        from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
        from jatevo.adapters.dynamodb.credentials import Credentials
        from jatevo.adapters.dynamodb.directory import DynamoDirectory
        from jatevo.adapters.dynamodb.health import DynamoHealth
        from jatevo.adapters.dynamodb.holdings import DynamoHoldings
        from jatevo.adapters.dynamodb.ledger import DynamoLedger
        from jatevo.adapters.dynamodb.schema import TableNames
        from jatevo.adapters.dynamodb.windows import DynamoWindows

        super().__init__(settings, clock=clock)
        self.environment = os.environ if environment is None else environment
        self.names = TableNames.with_prefix(settings.table_prefix)
        self.options = ClientOptions(region=settings.region, endpoint_url=settings.dynamodb_endpoint or None)
        self.dynamodb = DynamoClient(self.options, self.meter, Credentials(self.environment))
        self.windows = DynamoWindows(self.dynamodb, self.names, retention_s=settings.window_retention_days * 86_400)
        self.ledger = DynamoLedger(self.dynamodb, self.names, retention_days=settings.ledger_retention_days or None)
        self.directory = DynamoDirectory(self.dynamodb, self.names, self.clock, keep_ms=settings.directory_keep_ms)
        self.health = Health(
            DynamoHealth(self.dynamodb, self.names),
            self.clock,
            settings.breaker_rules,
            keep_ms=settings.directory_keep_ms,
        )
        self.access = Access(self.directory, self.clock)
        self._holdings = DynamoHoldings(self.dynamodb, self.names, self.clock, retention_s=_SNAPSHOTS_KEPT_S)
        self.counters = Counters(self.windows, self.clock, self._renew)
        self.secrets = Secrets(self.environment, self.clock, settings.region)

    def administration(self) -> "Administration":
        """Return the use cases of operators."""
        from jatevo.adapters.dynamodb.audit import DynamoAudit
        from jatevo.adapters.dynamodb.corrections import DynamoCorrections
        from jatevo.adapters.dynamodb.grants import DynamoGrants
        from jatevo.adapters.dynamodb.health import DynamoHealth
        from jatevo.adapters.dynamodb.models import Tables
        from jatevo.adapters.dynamodb.personal_data import DynamoPersonalData
        from jatevo.adapters.dynamodb.registry import DynamoRegistry
        from jatevo.application.administration import Administration
        from jatevo.application.administration.accounts import Accounts
        from jatevo.application.administration.books import Books
        from jatevo.application.administration.catalogues import Catalogues
        from jatevo.application.administration.corrections import Corrections
        from jatevo.application.administration.erasure import Erasure
        from jatevo.application.administration.grants import Grants
        from jatevo.application.administration.keys import Keys
        from jatevo.application.administration.lanes import Lanes
        from jatevo.application.administration.operators import Operators
        from jatevo.application.administration.prices import PriceAdministration
        from jatevo.application.administration.service import ServiceSwitch
        from jatevo.application.audit import Audit
        from jatevo.application.limits import LimitChanges

        registry = DynamoRegistry(Tables.connect(self.options, self.names))
        limits = LimitChanges(self.windows, self.clock)
        first = _first_operator(self._operator_token())
        forget = self.directory.forget
        accounts = Accounts(registry, limits, self.clock, self.randomness, forget=forget)
        keys = Keys(registry, limits, self.clock, self.randomness, forget=forget)
        personal = DynamoPersonalData(self.dynamodb, self.names, self._objects())
        prices = PriceAdministration(self._price_store(), self.clock, self.settings.bounds_of_prices)
        switch = ServiceSwitch(DynamoHealth(self.dynamodb, self.names), self.daily_spend(), self.health, self.clock)
        routes = self._routes(registry)
        return Administration(
            checkup=self._checkup(routes, prices, switch),
            accounts=accounts,
            keys=keys,
            erasure=Erasure(accounts, keys, self.sessions(), personal, self.windows, self.clock),
            catalogues=Catalogues(registry, self.clock, forget=forget, variables=self._catalogue_variables()),
            operators=Operators(registry, self.clock, self.randomness, first=first),
            books=Books(registry, self.windows, self.ledger, self.usage(), self.clock),
            corrections=Corrections(
                DynamoCorrections(self.dynamodb, self.names),
                self.reconciliation(),
                self.day_audits(),
                registry,
                self.clock,
                self.randomness,
            ),
            sweeper=self.sweeper(),
            prices=prices,
            snapshots=self.snapshots(),
            refresh=self.holdings_refresh(),
            routes=routes,
            lanes=Lanes(self.directory, self.windows, self.clock),
            audit=Audit(DynamoAudit(self.dynamodb, self.names), self.clock, self.randomness),
            grants=Grants(DynamoGrants(self.dynamodb, self.names), registry, self.windows, self.clock, self.randomness),
            service=switch,
        )

    def _checkup(self, routes: "Routes", prices: "PriceAdministration", switch: "ServiceSwitch") -> "Checkup":
        from jatevo.adapters.upstream.probe import HttpProbe
        from jatevo.application.administration.checkup import Checkup, Features

        counted = bool(self._readers())
        features = Features(prices=counted, holdings=counted, sign_in=bool(self.settings.public_url))
        return Checkup(
            self.windows,
            routes,
            prices,
            self.holdings_store(),
            self.day_audits(),
            switch,
            HttpProbe(),
            self.clock,
            features,
        )

    def _routes(self, registry: "Registry") -> "Routes":
        from jatevo.adapters.dynamodb.health import DynamoHealth
        from jatevo.adapters.wire.chat_answer import ChatFormat
        from jatevo.application.administration.routes import Routes
        from jatevo.application.planning import Planner

        store = DynamoHealth(self.dynamodb, self.names)
        planner = Planner(self.health, self.clock, self.randomness)
        formats = ChatFormat(self.settings.wording)
        return Routes(self.directory, registry, store, self.health, planner, formats, self.clock)

    def self_service(self) -> "SelfService":
        """Return the use cases of owners."""
        from jatevo.adapters.dynamodb.models import Tables
        from jatevo.adapters.dynamodb.registry import DynamoRegistry
        from jatevo.adapters.dynamodb.sessions import DynamoSessions
        from jatevo.adapters.dynamodb.wallets import DynamoWallets
        from jatevo.adapters.signatures.verifier import WalletSignatures
        from jatevo.application.administration.keys import Keys
        from jatevo.application.attempts import AttemptBounds, Attempts
        from jatevo.application.limits import LimitChanges
        from jatevo.application.self_service import SelfService
        from jatevo.application.self_service.books import OwnBooks
        from jatevo.application.self_service.budgets import Budgets
        from jatevo.application.self_service.keys import OwnKeys
        from jatevo.application.self_service.wallets import LinkedWallets
        from jatevo.application.sign_in import Proofs, SignIn

        clock, randomness, settings = self.clock, self.randomness, self.settings
        registry = DynamoRegistry(Tables.connect(self.options, self.names))
        stored = DynamoSessions(self.dynamodb, self.names)
        wallets = DynamoWallets(self.dynamodb, self.names)
        attempts = Attempts(stored, clock, AttemptBounds())
        sessions = self.sessions()
        chains = settings.chain_ids
        nodes = partial(self._nodes, "EVM_RPC_URLS", settings.evm_rpc_urls)
        signatures = WalletSignatures(nodes, chains.evm, clock, lag_s=settings.chain_lag_s)
        proofs = Proofs(stored, signatures, attempts, clock, randomness, site=self.site, chains=chains)
        keys = Keys(registry, LimitChanges(self.windows, clock), clock, randomness, forget=self.directory.forget)
        usage, holdings = self.usage(), self.holdings_refresh()
        return SelfService(
            site=self.site,
            attempts=attempts,
            proofs=proofs,
            sign_in=SignIn(proofs, wallets, sessions, clock, randomness, holdings=holdings),
            sessions=sessions,
            wallets=LinkedWallets(proofs, wallets, sessions, clock, holdings=holdings),
            keys=OwnKeys(keys, registry, self.directory, usage, self.ledger, clock),
            books=OwnBooks(registry, usage, self.ledger, clock),
            budgets=Budgets(self.entitlements(), self.counters, clock),
        )

    def sessions(self) -> "Sessions":
        """Return what opens, finds and ends sessions."""
        from jatevo.adapters.dynamodb.sessions import DynamoSessions
        from jatevo.application.sessions import Sessions

        stored = DynamoSessions(self.dynamodb, self.names)
        return Sessions(stored, self.directory, self.clock, self.randomness, lifetime_s=self.settings.session_s)

    async def site(self) -> Site | None:
        """Return where people sign in; None where that is not set. Raises SettingsError."""
        if not _is_reference(self.settings.public_url):
            return _site(self.settings.public_url) if self.settings.public_url else None
        return _site(await asyncio.to_thread(self._referred, "PUBLIC_URL", self.settings.public_url))

    def _referred(self, name: str, reference: str) -> str:
        try:
            return self.secrets(reference) or ""
        except SecretUnavailable as error:
            raise SettingsError(f"JATEVO_{name}: {error}") from None

    def _operator_token(self) -> str:
        token = self.settings.operator_token
        return self._referred("OPERATOR_TOKEN", token) if _is_reference(token) else token

    def _catalogue_variables(self) -> dict[str, str]:
        """Addresses a catalogue may name as `${JATEVO_LOCAL_…}`: only the local stack sets any."""
        return {name: value for name, value in self.environment.items() if name.startswith("JATEVO_LOCAL_")}

    def playground(self) -> "Playground":
        """Return what lets visitors in."""
        from jatevo.adapters.dynamodb.playground import DynamoPlayground
        from jatevo.application.playground import Playground

        store = DynamoPlayground(self.dynamodb, self.names)
        return Playground(self.directory, store, self.clock, self.randomness, self.settings.playground_policy)

    def daily_spend(self) -> "DailySpend":
        """Return what adds up the day, and stops the service at the ceiling."""
        from jatevo.adapters.dynamodb.health import DynamoHealth
        from jatevo.adapters.dynamodb.spending import DynamoSpending
        from jatevo.application.spending import DailySpend

        return DailySpend(
            self.windows,
            DynamoSpending(self.dynamodb, self.names, self.clock),
            DynamoHealth(self.dynamodb, self.names),
            self.clock,
            default_ceiling_nano_usd=_usd("DAY_CEILING_USD", self.settings.day_ceiling_usd),
        )

    def sweeper(self) -> Sweeper:
        """Return the sweeper."""
        return Sweeper(self.windows, self.ledger, self.clock, exposure_cap_bps=self.settings.exposure_cap_bps)

    def usage(self) -> "UsageReports":
        """Return the sums of the ledger."""
        from jatevo.adapters.dynamodb.rollups import DynamoRollups
        from jatevo.application.usage import UsageReports

        rollups = DynamoRollups(self.dynamodb, self.names)
        longest_s = self.settings.policy.longest_s
        return UsageReports(rollups, self.ledger, self.windows, self.clock, longest_s=longest_s)

    def reconciliation(self) -> "Reconciliation":
        """Return what recomputes windows from the ledger."""
        from jatevo.adapters.dynamodb.grants import DynamoGrants
        from jatevo.adapters.dynamodb.rollups import DynamoRollups
        from jatevo.application.reconciliation import Reconciliation

        return Reconciliation(
            self.windows,
            self.ledger,
            self.ledger,
            DynamoGrants(self.dynamodb, self.names),
            DynamoRollups(self.dynamodb, self.names),
            self.directory,
            self.clock,
            longest_s=self.settings.policy.longest_s,
        )

    def day_audits(self) -> "DayAudits":
        """Return the scheduled audit."""
        from jatevo.adapters.dynamodb.day_audits import DynamoDayAudits
        from jatevo.application.day_audits import DayAudits

        store = DynamoDayAudits(self.dynamodb, self.names)
        return DayAudits(store, self.reconciliation(), self.usage(), self.clock)

    def histories(self) -> "Histories":
        """Return what keeps responses and conversations."""
        from jatevo.adapters.dynamodb.conversations import DynamoConversations
        from jatevo.adapters.dynamodb.responses import DynamoResponses
        from jatevo.application.histories import Histories

        responses = DynamoResponses(self.dynamodb, self.names, self.clock, self._objects())
        conversations = DynamoConversations(self.dynamodb, self.names, self.clock, responses)
        return Histories(responses, conversations, self.clock)

    def _objects(self) -> "Objects | None":
        """Return where larger things are kept; None where no bucket is set."""
        from jatevo.adapters.objects import S3Objects

        bucket = self.settings.responses_bucket
        return S3Objects(bucket, self.settings.region) if bucket else None

    def inference(self) -> "Inference":
        """Return the use case of the streamed routes."""
        from jatevo.adapters.upstream.http import HttpUpstream
        from jatevo.application.admission import Admission
        from jatevo.application.client_errors import ClientErrors
        from jatevo.application.inference import Inference
        from jatevo.application.planning import Planner
        from jatevo.application.refusal_memory import RefusalMemory
        from jatevo.application.reservations import Reservations

        upstream = HttpUpstream(self.clock, self.secrets, idle_s=self.settings.upstream_idle_s)
        reservations = Reservations(
            self.windows,
            self.ledger,
            self.directory,
            self.clock,
            self.randomness,
            self.settings.policy,
            RefusalMemory(),
            self._renew,
            self.meter,
        )
        errors = ClientErrors()
        planner = Planner(self.health, self.clock, self.randomness, only_lane=self.settings.only_lane)
        admission = Admission(self.directory, reservations, upstream, self.clock, errors, planner, self.health)
        return Inference(
            admission,
            reservations,
            upstream,
            self.clock,
            errors,
            self.health,
            heartbeat_s=self.settings.heartbeat_s,
            failover_s=self.settings.failover_s,
        )

    def tracer(self) -> "Tracer | None":
        """Return what traces requests; None, with nothing loaded, unless settings say so. Raises SettingsError."""
        to, authorization = self.settings.traces, self.settings.traces_authorization
        if to == "off":
            return None
        from jatevo.adapters.telemetry.collector import Collector
        from jatevo.adapters.telemetry.tracing import Send, Tracer

        async def printed(export: bytes) -> None:
            to_standard_output(export.decode())

        try:
            send: Send = (
                printed
                if to == "stdout"
                else Collector(to, lambda: self.secrets(authorization) if authorization else None)
            )
        except ValueError as error:
            raise SettingsError(f"JATEVO_TRACES: {error}") from error
        return Tracer(send, self.clock, self.randomness, deployment=self.settings.table_prefix)

    def prices(self) -> "Prices":
        """Return where the token's price is read. Raises SettingsError."""
        from jatevo.application.prices import StoredPrices

        return StoredPrices(self._price_store(), self.settings.bounds_of_prices)

    def price_updates(self) -> "PriceUpdates":
        """Return the oracle's scheduled run. Raises SettingsError."""
        from jatevo.adapters.prices.configuration import EvmDefaults, SourcesError, sources_from
        from jatevo.application.price_updates import PriceUpdates

        rules, urls = self.settings.bounds_of_prices, self.settings.evm_rpc_urls
        evm = EvmDefaults((urls,) if urls else (), self.settings.chain_ids.evm)
        try:
            sources = sources_from(self.settings.price_sources, self.secrets, evm)
        except SourcesError as error:
            raise SettingsError(f"JATEVO_PRICE_SOURCES: {error}") from error
        if sources and len(sources) < rules.quorum:
            raise SettingsError(f"JATEVO_PRICE_SOURCES: {len(sources)} sources can never be a quorum of {rules.quorum}")
        return PriceUpdates(sources, self._price_store(), self.clock, rules)

    def _price_store(self) -> "PriceStore":
        from jatevo.adapters.dynamodb.prices import DynamoPrices

        return DynamoPrices(self.dynamodb, self.names, history_days=self.settings.price_history_days)

    def showcase(self) -> "Showcase":
        """Return what the public pages show."""
        from jatevo.application.showcase import Showcase

        policy = self.settings.entitlement_policy
        margin_bps = self.settings.policy.margin_bps
        return Showcase(self.directory, self.prices(), policy, self.clock, margin_bps=margin_bps)

    def entitlements(self) -> "Entitlements":
        """Return what turns holdings into limits. It reads and writes the store only."""
        from jatevo.adapters.dynamodb.claims import DynamoClaims
        from jatevo.adapters.dynamodb.entitled import DynamoEntitled
        from jatevo.application.entitlements import Entitlements
        from jatevo.application.limits import LimitChanges

        return Entitlements(
            DynamoEntitled(self.dynamodb, self.names),
            DynamoClaims(self.dynamodb, self.names),
            self.holdings_store(),
            self.prices(),
            LimitChanges(self.windows, self.clock),
            self.clock,
            self.settings.entitlement_policy,
        )

    async def _renew(self, account_id: str, day: str) -> Account | None:
        return await self.entitlements().renew(account_id, day)

    def holdings_refresh(self) -> "HoldingsRefresh":
        """Return what looks at wallets again. It reads chains."""
        from jatevo.adapters.dynamodb.claims import DynamoClaims
        from jatevo.adapters.dynamodb.entitled import DynamoEntitled
        from jatevo.application.holdings_refresh import HoldingsRefresh

        return HoldingsRefresh(
            self._readers(),
            DynamoClaims(self.dynamodb, self.names),
            self.holdings_store(),
            DynamoEntitled(self.dynamodb, self.names),
            self.entitlements(),
            self.clock,
            self.randomness,
        )

    def snapshots(self) -> "Snapshots":
        """Return what takes snapshots. It reads chains."""
        from jatevo.adapters.dynamodb.claims import DynamoClaims
        from jatevo.application.snapshots import Snapshots

        claims = DynamoClaims(self.dynamodb, self.names)
        return Snapshots(self._readers(), self.holdings_store(), claims, self.clock, self.randomness)

    def _readers(self) -> "Readers":
        """Return what reads each configured token that has nodes. Raises SettingsError."""
        settings, found = self.settings, dict[Namespace, BalanceReader]()
        evm = _token("EVM_TOKEN", settings.evm_token, Namespace.EIP155)
        solana = _token("SOLANA_TOKEN", settings.solana_token, Namespace.SOLANA)
        if evm is not None and settings.evm_rpc_urls:
            from jatevo.adapters.chains.evm import EvmReader

            found[Namespace.EIP155] = EvmReader(
                evm,
                partial(self._nodes, "EVM_RPC_URLS", settings.evm_rpc_urls),
                self.clock,
                confirmations=settings.evm_confirmations,
                lag_s=settings.chain_lag_s,
            )
        if solana is not None and settings.solana_rpc_urls:
            from jatevo.adapters.chains.solana import SolanaReader

            nodes = partial(self._nodes, "SOLANA_RPC_URLS", settings.solana_rpc_urls)
            found[Namespace.SOLANA] = SolanaReader(solana, nodes, self.clock, lag_s=settings.chain_lag_s)
        return found

    def _nodes(self, name: str, urls: str) -> tuple[str, ...]:
        """Return addresses, comma separated or behind a reference. Raises ChainUnavailable."""
        try:
            found = self._referred(name, urls) if _is_reference(urls) else urls
        except SettingsError as error:
            raise ChainUnavailable(str(error)) from None
        return tuple(url for url in (part.strip() for part in found.split(",")) if url)

    def holdings_store(self) -> "DynamoHoldings":
        """Return where snapshots are kept."""
        return self._holdings

    def check_tables(self) -> None:
        """Read the catalogue once. Raises SettingsError, one line, when the tables cannot be read."""
        self._check(self.directory.catalogue())

    def check_windows(self) -> None:
        """The same with what the sweeper reads, which may not read the catalogue."""
        self._check(self.windows.due(0, 1))

    def check_prices(self) -> None:
        """The same with what the price oracle reads."""
        self._check(self._price_store().read())

    def check_holdings(self) -> None:
        """The same with what snapshots and refreshes read."""
        self._check(self.holdings_store().latest())

    def check_books(self) -> None:
        """The same with what the scheduled audit reads."""
        self._check(self.day_audits().report("1970-01-01"))

    @staticmethod
    def _check(reading: Coroutine[Any, Any, object]) -> None:
        try:
            asyncio.run(reading)
        except StoreError as error:
            raise SettingsError(f"the tables cannot be read: {error}") from None

    def close(self) -> None:
        """Close connections."""
        self.dynamodb.close()
