"""
Settings to wired objects: the only place that knows every class.

Each method of `Gateway` imports only what its function needs, so that no function pays for another's; this module
imports nothing of AWS.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jatevo.adapters.secrets import Secrets, SecretUnavailable
from jatevo.adapters.system import SystemClock, SystemRandomness
from jatevo.adapters.telemetry.chronicle import RequestLog
from jatevo.adapters.telemetry.emf import EmfMeter
from jatevo.adapters.telemetry.lines import FileLines, to_standard_output
from jatevo.application.access import Access
from jatevo.application.counters import Counters
from jatevo.application.health import Health
from jatevo.application.holdings import BalanceReader, ChainUnavailable
from jatevo.application.meter import Meter, NoMeter
from jatevo.application.ports import Clock, StoreError
from jatevo.application.sweeper import Sweeper
from jatevo.domain.accounts import Account
from jatevo.domain.sign_in import Site
from jatevo.domain.wallets import Namespace

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
    from jatevo.application.playground import Playground
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


from jatevo.bootstrap.settings import Settings, SettingsError, is_reference, site_of, token_of

_SNAPSHOTS_KEPT_S = 14 * 86_400
"""Far longer than a snapshot counts, so that an operator can look into what a budget came from."""


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
        self._closing: list[Callable[[], None]] = []

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
        if not is_reference(self.settings.public_url):
            return site_of(self.settings.public_url) if self.settings.public_url else None
        return site_of(await asyncio.to_thread(self._referred, "PUBLIC_URL", self.settings.public_url))

    def _referred(self, name: str, reference: str) -> str:
        try:
            return self.secrets(reference) or ""
        except SecretUnavailable as error:
            raise SettingsError(f"JATEVO_{name}: {error}") from None

    def _operator_token(self) -> str:
        token = self.settings.operator_token
        return self._referred("OPERATOR_TOKEN", token) if is_reference(token) else token

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
            default_ceiling_nano_usd=self.settings.day_ceiling_nano_usd,
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
        self._closing.append(upstream.close)
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
        evm = token_of("EVM_TOKEN", settings.evm_token, Namespace.EIP155)
        solana = token_of("SOLANA_TOKEN", settings.solana_token, Namespace.SOLANA)
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
            found = self._referred(name, urls) if is_reference(urls) else urls
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
        for close in self._closing:
            close()
