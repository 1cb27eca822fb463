"""
The rules of the gateway as pure functions over immutable values.

Nothing here reads a clock, an environment, a network or a random source; what varies is passed in.
"""
