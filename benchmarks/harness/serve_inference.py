"""
The inference function's app on uvicorn, alone in its process: what a gateway outside Lambda would be.

    python benchmarks/harness/serve_inference.py PORT
"""

import sys

import uvicorn

from jatevo_inference.handler import create_app


def serve(port: int) -> None:
    uvicorn.run(create_app(), port=port, log_level="warning", server_header=False, proxy_headers=False, ws="none")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
