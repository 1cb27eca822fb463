"""How operators see what happens: lines of logs and metrics, and traces. Nobody's words get into any of them."""
