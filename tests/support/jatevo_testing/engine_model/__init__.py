"""
A model in memory of what DynamoDB does with the requests that the product sends: fast, in one thread, repeatable.

It stands where a boto3 client stands: the same methods, arguments, answers and errors. What it does not know it
refuses loudly (`NotImplementedError`), so that nobody takes a guess for an answer. It is held equal to two real
engines (`tests/contract/test_engine_model.py`). Not modelled: throttling and lost answers, which are the wire's; TTL;
the list of reserved words, for the product writes every name as a placeholder.

Unlike an engine, it lags as it is told: reads that do not ask for consistency (`MemoryEngine.is_stale`), and indexes
(`Table.lags`).
"""

from jatevo_testing.engine_model.engine import MemoryEngine

__all__ = ["MemoryEngine"]
