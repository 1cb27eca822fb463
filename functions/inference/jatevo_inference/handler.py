"""Wires the inference app from the environment."""

from jatevo.bootstrap import Gateway, settings_from
from jatevo_inference.app import InferenceApp, InferenceServices
from jatevo_inference.playground import PlaygroundCallers


def create_app(gateway: Gateway | None = None) -> InferenceApp:
    """Return the app, over the gateway of this process."""
    gateway = gateway or Gateway(settings_from())
    tracer = gateway.tracer()
    return InferenceApp(
        InferenceServices(
            access=gateway.access,
            playground=PlaygroundCallers(gateway.access, gateway.playground(), gateway.sessions, gateway.site),
            inference=gateway.inference(),
            counters=gateway.counters,
            clock=gateway.clock,
            randomness=gateway.randomness,
            wording=gateway.settings.wording,
            histories=gateway.histories(),
            chronicle=gateway.request_log("inference", tracer),
            tracing=tracer,
        )
    )
