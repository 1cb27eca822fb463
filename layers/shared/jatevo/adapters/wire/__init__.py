"""The OpenAI wire format: requests in, answers and errors out. Pure functions of bytes and values."""
