"""
The whole gateway in a simulation: its own ASGI app, use cases and adapters, wired as its functions wire them.

Around it everything is a model that fails as it is told: the engine and the wire to it, upstreams, clients, clocks,
operators, and processes that are killed. `GatewaySimulation` is played from a seed; who judges it (`auditor`,
`everyone`, `money`, `witness`) shares no rule with it.
"""
