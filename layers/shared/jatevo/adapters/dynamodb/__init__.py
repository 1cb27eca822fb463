"""
DynamoDB: what is stored where.

The request path (`windows`, `ledger`, `directory`) speaks through `client`, the low-level API: its conditions and the
items that come back with a refusal decide about money. The calmer tables are pynamodb models in `models`.
"""
