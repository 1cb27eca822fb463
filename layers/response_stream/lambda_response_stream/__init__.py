"""
A Lambda Runtime API loop that streams any ASGI app's responses, in place of the managed Python runtime's own.

`runtime` is the life of an execution environment, `invocation` that of one request. See the README beside this package.

Records are named tuples and paths are text here: a dataclass costs half a millisecond of every cold start, `pathlib`
three.
"""
