"""The schedules that read chains: snapshots of holdings, and looking at them again."""
