"""Sources of the token's price, each an adapter of `jatevo.application.prices.PriceSource`."""
