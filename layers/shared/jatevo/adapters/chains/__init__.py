"""Chains as `BalanceReader`s: Solana over JSON-RPC, EVM chains over web3."""
