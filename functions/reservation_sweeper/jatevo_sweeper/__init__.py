"""The sweeper function: ends, on a schedule, the reservations that handlers left behind."""
