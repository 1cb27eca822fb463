"""The site function: liveness, the front page, and the answer to every route that does not exist."""
