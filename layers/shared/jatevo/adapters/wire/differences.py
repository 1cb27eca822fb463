"""A difference in the books as operators are shown it: by the admin API, and in the log of the scheduled audit."""

from typing import Any

from jatevo.domain.reconciliation import Difference


def difference_shape(difference: Difference) -> dict[str, Any]:
    return {
        "window": difference.window.owner,
        "period": difference.window.period,
        "counter": difference.counter.value,
        "expected": difference.expected,
        "found": difference.found,
    }
