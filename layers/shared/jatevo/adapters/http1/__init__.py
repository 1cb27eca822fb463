"""
A small HTTP/1.1 client for the request path: DynamoDB and the pools.

It owns what the accounting depends on and no library promises: a request is sent at most once, and an error says
whether any of it may have left. Messages are parsed by httptools (llhttp); see decision 70.
"""
