"""
What the service costs on AWS: from published prices and measured CPU, dollars per million requests and per stream-hour,
and where Fargate and Managed Instances begin to be cheaper.

    make bench-costs                                       # by the CPU that docs/benchmarks.md reports
    make bench-costs COSTS="--plain-ms 1.2 --start-ms 15"  # by another

Formulas stand with their functions; `docs/costs.md` says what they leave out. Prices are in `PRICES`, nowhere else.
"""

import argparse
from dataclasses import dataclass

from harness.tables import markdown


@dataclass(frozen=True, slots=True)
class Prices:
    """US East (N. Virginia), on demand, without free tiers; dollars."""

    as_of: str = "spring of 2026"
    lambda_gb_s: float = 0.0000133334
    """arm64, the first tier."""
    lambda_request: float = 0.20e-6
    api_request: float = 3.50e-6
    """API Gateway REST, the first 333 million of a month; a streamed answer counts once for each begun 10 MB."""
    write_unit: float = 0.625e-6
    read_unit: float = 0.125e-6
    log_gb: float = 0.50
    fargate_vcpu_h: float = 0.03238
    """Linux on ARM."""
    fargate_gb_h: float = 0.00356
    balancer_h: float = 0.0225
    """Application Load Balancer, before its capacity units."""
    instance_h: float = 0.0816
    """m7g.large: 2 vCPU, 8 GB."""
    managed_fee: float = 0.15
    """Of the instance's price on demand."""


@dataclass(frozen=True, slots=True)
class Measured:
    """CPU of a request in milliseconds of one vCPU, and units of DynamoDB."""

    plain_ms: float
    chunk_us: float
    """Of one more chunk of a stream, alone in its process, as on Lambda."""
    many_chunk_us: float
    """The same where one process serves 16 at once."""
    start_ms: float
    """Of a cold start, to the first answer."""
    write_units: float
    read_units: float
    log_bytes: float


PRICES = Prices()
PLAIN_MS, CHUNK_US, MANY_CHUNK_US, START_MS, LOG_BYTES = 4.7, 386.0, 111.0, 230.0, 1500.0
"""As docs/benchmarks.md has them."""
SIZES_MB = (256, 512, 1024)
FULL_VCPU_MB = 1769
"""Lambda gives CPU in proportion to memory; this much has one vCPU."""
ANSWERS_S = (1, 10, 30)
CHUNKS_PER_S = 50
"""Of a fast model's stream."""
BUSY = 0.6
"""How much of a CPU may be used on average, so that streams do not wait for each other."""
MANAGED_AT_ONCE = 16
"""Invocations that a managed instance gives a vCPU at once, in Python."""
MANAGED_INSTANCES = 3
"""What a capacity provider keeps for availability, unless set otherwise."""
FARGATE_VCPU, FARGATE_GB, FARGATE_TASKS = 0.25, 0.5, 2


def wall_ms(cpu_ms: float, memory_mb: int) -> float:
    """CPU on a share of a vCPU takes longer by that share: `cpu · max(1, 1769 / memory)`."""
    return cpu_ms * max(1.0, FULL_VCPU_MB / memory_mb)


def compute_usd(seconds: float, memory_mb: int) -> float:
    """Lambda: `seconds · GB · price`."""
    return seconds * memory_mb / 1024 * PRICES.lambda_gb_s


def fixed_usd(of: Measured) -> float:
    """What a request costs however long it lasts: API Gateway, Lambda's request, units, its log."""
    units = of.write_units * PRICES.write_unit + of.read_units * PRICES.read_unit
    return PRICES.api_request + PRICES.lambda_request + units + of.log_bytes / 1e9 * PRICES.log_gb


def walls(of: Measured) -> str:
    rows = [[name, ms, *(wall_ms(ms, size) for size in SIZES_MB)] for name, ms in _works(of)]
    return markdown(["own work, ms", "one vCPU", *(f"{size} MB" for size in SIZES_MB)], rows)


def _works(of: Measured) -> list[tuple[str, float]]:
    second = of.chunk_us * CHUNKS_PER_S / 1000
    return [
        ("a plain request", of.plain_ms),
        (f"a second of stream, {CHUNKS_PER_S} chunks", second),
        ("a cold start, to the first answer", of.start_ms),
    ]


def per_million(of: Measured) -> str:
    parts = [
        ("API Gateway", PRICES.api_request),
        ("Lambda, requests", PRICES.lambda_request),
        (f"DynamoDB, {of.write_units:g} writes, {of.read_units:g} reads", _units(of)),
        ("logs", of.log_bytes / 1e9 * PRICES.log_gb),
    ]
    rows: list[list[object]] = [[name, *[usd * 1e6] * len(SIZES_MB)] for name, usd in parts]
    for answer_s in ANSWERS_S:
        took = [answer_s + wall_ms(of.plain_ms, size) / 1000 for size in SIZES_MB]
        costs = [compute_usd(s, size) * 1e6 for s, size in zip(took, SIZES_MB, strict=True)]
        rows.append([f"Lambda, while the pool takes {answer_s} s", *costs])
        rows.append([f"**in all, {answer_s} s**", *(fixed_usd(of) * 1e6 + cost for cost in costs)])
    return markdown(["dollars per million requests", *(f"{size} MB" for size in SIZES_MB)], rows)


def _units(of: Measured) -> float:
    return of.write_units * PRICES.write_unit + of.read_units * PRICES.read_unit


def per_stream_hour() -> str:
    hour = ["compute, one stream for an hour", *(f"{compute_usd(3600, size):.4f}" for size in SIZES_MB)]
    answer = ["compute, one answer of 30 s", *(f"{compute_usd(30, size):.6f}" for size in SIZES_MB)]
    return markdown(["dollars", *(f"{size} MB" for size in SIZES_MB)], [hour, answer])


def fargate_h(tasks: int = FARGATE_TASKS) -> float:
    """Return `tasks · (vCPU · price + GB · price) + balancer`, an hour."""
    task = FARGATE_VCPU * PRICES.fargate_vcpu_h + FARGATE_GB * PRICES.fargate_gb_h
    return tasks * task + PRICES.balancer_h


def managed_h() -> float:
    """Return `instances · price · (1 + fee)`, an hour."""
    return MANAGED_INSTANCES * PRICES.instance_h * (1 + PRICES.managed_fee)


def crossover(of: Measured) -> str:
    """
    Where others begin to be cheaper: `dollars an hour / dollars of one stream-hour` streams at once, on average.

    Their hours cost the same at night. What they can serve is bounded by CPU: `vCPU · busy / CPU a second of stream`.
    """
    per_vcpu = BUSY * 1e6 / (of.many_chunk_us * CHUNKS_PER_S)
    fargate = (f"Fargate, {FARGATE_TASKS} · {FARGATE_VCPU} vCPU and a balancer", fargate_h())
    managed = (f"Managed Instances, {MANAGED_INSTANCES} · m7g.large", managed_h())
    most = [FARGATE_TASKS * FARGATE_VCPU * per_vcpu, MANAGED_INSTANCES * 2 * min(per_vcpu, MANAGED_AT_ONCE)]
    rows: list[list[object]] = []
    for (name, usd_h), streams in zip((fargate, managed), most, strict=True):
        shown = [f"{usd_h / compute_usd(3600, size):.1f}" for size in SIZES_MB]
        rows.append([name, f"{usd_h:.4f}", *shown, f"{streams:.0f}"])
    head = ["streams at once, on average over the day", "dollars an hour"]
    return markdown([*head, *(f"as Lambda, {size} MB" for size in SIZES_MB), "it can serve"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plain-ms", type=float, default=PLAIN_MS, help="CPU of a plain request")
    parser.add_argument("--chunk-us", type=float, default=CHUNK_US, help="CPU of a chunk, one stream at a time")
    parser.add_argument("--many-chunk-us", type=float, default=MANY_CHUNK_US, help="CPU of a chunk, 16 streams at once")
    parser.add_argument("--start-ms", type=float, default=START_MS, help="CPU of a cold start")
    parser.add_argument("--writes", type=float, default=3.0, help="write units of a request")
    parser.add_argument("--reads", type=float, default=1.5, help="read units of a request")
    parser.add_argument("--log-bytes", type=float, default=LOG_BYTES, help="what a request writes to its log")
    args = parser.parse_args()
    cpu = (args.plain_ms, args.chunk_us, args.many_chunk_us, args.start_ms)
    of = Measured(*cpu, args.writes, args.reads, args.log_bytes)
    print(f"prices: {PRICES.as_of}\n")
    for table in (walls(of), per_million(of), per_stream_hour(), crossover(of)):
        print(table + "\n")


if __name__ == "__main__":
    main()
