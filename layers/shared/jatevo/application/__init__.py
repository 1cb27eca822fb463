"""The use cases of the gateway and the ports (Protocols) they need from the outside."""
