"""
Asks whether somebody answers at a pool's address: any HTTP answer will do, so that no key is needed.

Nothing that a model server could charge for is asked.
"""

import httpx

from jatevo.domain.catalogue import Pool

_PATIENCE_S = 5.0


class HttpProbe:
    """The `Probe` port over httpx."""

    async def answers(self, pool: Pool) -> str | None:
        try:
            async with httpx.AsyncClient(timeout=_PATIENCE_S, follow_redirects=False, trust_env=False) as client:
                answer = await client.get(f"{pool.base_url.rstrip('/')}/models")
        except httpx.TimeoutException:
            return "it does not answer in time"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"it cannot be reached: {type(error).__name__}"
        return f"it answers with {answer.status_code}" if answer.status_code >= 500 else None
