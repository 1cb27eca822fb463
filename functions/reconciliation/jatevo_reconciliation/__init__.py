"""The reconciliation function: holds every finished day's windows against the ledger, by schedule."""
