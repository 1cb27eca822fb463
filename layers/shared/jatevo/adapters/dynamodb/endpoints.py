"""Where DynamoDB answers in each region of AWS."""

_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
}


def endpoint_of(region: str) -> str:
    """Return the address of DynamoDB in a region."""
    suffix = next((end for start, end in _SUFFIXES.items() if region.startswith(start)), "amazonaws.com")
    return f"https://dynamodb.{region}.{suffix}"
