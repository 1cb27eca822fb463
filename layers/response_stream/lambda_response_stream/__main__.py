"""Starts the loop. The wrapper runs this file by its path, so that the interpreter needs no `runpy`."""

import sys

if not __package__:
    sys.path[0] = sys.path[0].rpartition("/")[0]  # the folder of the package, so that its modules shadow no others

from lambda_response_stream.runtime import main

if __name__ == "__main__":
    main()
