"""
What the benchmarks share: one stub upstream, one driver, one meter of processes, one table.

A `Subject` is anything that serves chat completions over the stub: this gateway, the stub itself, another gateway. To
compare one more, write a context manager that starts it over `stub.base_url` and yields a `Subject` (see `subjects`).
"""
