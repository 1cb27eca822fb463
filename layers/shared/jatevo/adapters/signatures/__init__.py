"""Signatures of wallets: what was signed, and by whom. Each kind's packages are imported when the first one comes."""
