"""The price oracle's function: asks the sources and decides, by schedule."""
