"""What the tests share: engines, fresh tables, clocks, a scripted upstream, a gateway in this process."""
