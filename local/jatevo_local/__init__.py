"""
The one-machine stack: what stands around the gateway when no cloud does. Never deployed.

Blocks, each usable alone:

- `processes`: `Children(logs)` starts a `Program` and waits until it is ready, restarts it, ends all of them together.
- `engine`: `start_engine` for the stack; `start_dynoxide`, `start_extenddb` for tests; the credentials they take.
- `model`: `start_model` serves a real, small language model with OpenAI's API.
- `ports`: a free port, and one clear line about a port that is not.
- `errors`: `StackError`, whose message is that one line.

    try:
        with Children(data / "logs") as children:
            engine = start_engine(children, free_port(), data / "dynamodb.db")
            model = start_model(children, free_port(), api_key=secrets.token_urlsafe())
            …                                    # serve; a signal handler leaves this block
    except StackError as error:
        sys.exit(f"jatevo: {error}")
"""
