"""
Stand-ins for GeckoTerminal, DexScreener and CoinGecko on loopback: the shapes they were recorded with, our own figures.

`behave` makes all of them lie, hang, grow old, answer with nothing or with garbage; `asked` keeps what was asked.
"""

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "9VY2rDbtsBmTsBxoRF8hWSEUKGqnoQoe9V6W3JnjNgfm"
SOL = "So11111111111111111111111111111111111111112"
DAY_S = 86_400
SOL_USD = Decimal("195.3125")


@dataclass(frozen=True)
class Market:
    """One pool as an indexer sees it. Figures are texts as they stand in the JSON."""

    price: str | None = "0.01"
    depth: str = "250000.5"
    base: str = TOKEN
    quote: str = SOL
    age_s: int = 400 * DAY_S
    trades: int = 4321
    chain: str = "solana"
    quoted: str = ""
    """What the quote side holds, in whole units; empty: half of the depth."""


@dataclass
class PriceApis:
    """The three APIs. `behave` is asked first: a body of its own, or None for the regular answer."""

    markets: list[Market] = field(default_factory=lambda: [Market()])
    updated_ago_s: int = 30
    volume: str = "54321.09"
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    body: Callable[[], bytes] | None = None
    hang: bool = False
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def answer(self, path: str) -> bytes:
        if self.body is not None:
            return self.body()
        parts = urlsplit(path)
        if parts.path.startswith("/api/v2/networks/"):
            return geckoterminal(self.markets)
        if parts.path.startswith("/token-pairs/v1/"):
            return dexscreener(self.markets)
        [address] = parse_qs(parts.query)["contract_addresses"]
        return coingecko(self.markets, address, self.volume, self.updated_ago_s)


def geckoterminal(markets: list[Market]) -> bytes:
    """`GET /api/v2/networks/{network}/tokens/{address}/pools`."""
    return json.dumps({"data": [_gecko_pool(number, market) for number, market in enumerate(markets)]}).encode()


def _gecko_pool(number: int, market: Market) -> dict[str, Any]:
    made = dt.datetime.fromtimestamp(time.time() - market.age_s, tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "id": f"{market.chain}_pool{number}",
        "type": "pool",
        "attributes": {
            "base_token_price_usd": market.price,
            "base_token_price_native_currency": "0.0000512",
            "quote_token_price_usd": "195.3",
            "address": f"pool{number}",
            "name": "JTVO / SOL",
            "pool_created_at": made,
            "fdv_usd": "9876543",
            "market_cap_usd": None,
            "price_change_percentage": {"m5": "0.1", "h1": "-0.4", "h6": "2", "h24": "3.15"},
            "transactions": {"m5": {"buys": 1, "sells": 2}, "h24": {"buys": market.trades, "sells": 0, "buyers": 7}},
            "volume_usd": {"m5": "12.1", "h1": "300.2", "h6": "4000", "h24": "54321.09"},
            "reserve_in_usd": market.depth,
        },
        "relationships": {
            "base_token": {"data": {"id": f"{market.chain}_{market.base}", "type": "token"}},
            "quote_token": {"data": {"id": f"{market.chain}_{market.quote}", "type": "token"}},
            "dex": {"data": {"id": "raydium", "type": "dex"}},
        },
    }


def dexscreener(markets: list[Market]) -> bytes:
    """`GET /token-pairs/v1/{chainId}/{tokenAddress}`; numbers of liquidity and volume are bare."""
    pairs = ",".join(_dex_pair(number, market) for number, market in enumerate(markets))
    return f"[{pairs}]".encode()


def _dex_pair(number: int, market: Market) -> str:
    made = int(time.time() - market.age_s) * 1000
    pair = {
        "chainId": market.chain,
        "dexId": "raydium",
        "url": f"https://dexscreener.com/solana/pair{number}",
        "pairAddress": f"pair{number}",
        "labels": ["CPMM"],
        "baseToken": {"address": market.base, "name": "Jatevo", "symbol": "JTVO"},
        "quoteToken": {"address": market.quote, "name": "Wrapped SOL", "symbol": "SOL"},
        "priceNative": _native(market.price),
        "priceUsd": market.price,
        "txns": {"m5": {"buys": 1, "sells": 2}, "h24": {"buys": market.trades, "sells": 0}},
        "volume": {"h24": 54321.09, "m5": 12.1},
        "priceChange": {"h24": 3.15},
        "liquidity": {"usd": "DEPTH", "base": 12345678, "quote": "QUOTED"},
        "fdv": 9876543,
        "pairCreatedAt": made,
        "info": {"imageUrl": "https://example.com/x.png"},
    }
    quoted = market.quoted or str(Decimal(market.depth) / 2 / SOL_USD)
    return json.dumps(pair).replace('"DEPTH"', market.depth).replace('"QUOTED"', quoted)


def _native(price: str | None) -> str | None:
    try:
        return None if price is None else str(Decimal(price) / SOL_USD)
    except ArithmeticError:
        return price


def coingecko(markets: list[Market], address: str, volume: str, updated_ago_s: int) -> bytes:
    """`GET /api/v3/simple/token_price/{platform}`: nothing for an address that is not known, numbers bare."""
    prices = [market.price for market in markets if market.base == address and market.price is not None]
    if not prices:
        return b"{}"
    updated = int(time.time()) - updated_ago_s
    figures = f'"usd":{prices[0]},"usd_24h_vol":{volume},"last_updated_at":{updated}'
    return f'{{"{address}":{{{figures}}}}}'.encode()


@contextmanager
def price_apis() -> Iterator[PriceApis]:
    """Serve them on loopback."""
    apis = PriceApis()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(apis))
    server.daemon_threads = True
    apis.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield apis
    finally:
        apis.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(apis: PriceApis) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            apis.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            if apis.hang:
                apis.released.wait(30)
                return
            body = apis.answer(self.path)
            self.send_response_only(apis.status)
            for name, value in {"date": formatdate(usegmt=True), "content-type": "application/json"}.items():
                self.send_header(name, apis.headers.get(name, value))
            for name, value in apis.headers.items():
                if name != "date":
                    self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(body)
            except ConnectionError:
                return  # the client has read enough

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the server's name for it
            """Say nothing."""

    return Handler
