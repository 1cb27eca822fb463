"""The inference function: the streamed POST routes."""
