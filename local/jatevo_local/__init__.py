"""
The one-machine stack: what stands around the gateway when no cloud does. Never deployed.
"""
