"""Everything that touches the world: DynamoDB, upstreams, HTTP, the OpenAI wire format."""
