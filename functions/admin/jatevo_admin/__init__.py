"""The admin function: the HTTP API of operators, under `/admin/v1`."""
