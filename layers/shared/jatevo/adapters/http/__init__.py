"""ASGI: what the functions share in speaking HTTP."""
