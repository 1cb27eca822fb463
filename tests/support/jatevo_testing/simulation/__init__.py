"""
A simulation of many gateway processes over one real engine, in one thread, repeatable from a seed.

The product's own code runs unchanged. Every store call of every handler stops at a `Wire`; whenever all of them have
stopped, the `Simulation` chooses from its seed what happens next: a call is delivered, lost, repeated or delayed, a
handler is killed, time passes, a request or an operator's change begins. As the calls reach the engine one at a time,
their true order is known, and the `Auditor` follows it with books of its own.
"""
