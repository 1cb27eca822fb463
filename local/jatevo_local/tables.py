"""The tables of the local stack: created where they are missing, never changed."""

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from jatevo.adapters.dynamodb.schema import TableNames, definitions
from jatevo_local.engine import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from jatevo_local.errors import StackError

PREFIX = "jatevo"


def create_missing_tables(endpoint_url: str) -> list[str]:
    """Create the tables that are not there and return their names."""
    session = boto3.session.Session(
        aws_access_key_id=ACCESS_KEY_ID, aws_secret_access_key=SECRET_ACCESS_KEY, region_name=REGION
    )
    client = session.client("dynamodb", endpoint_url=endpoint_url)
    try:
        there = {name for page in client.get_paginator("list_tables").paginate() for name in page["TableNames"]}
        missing = [table for table in definitions(TableNames.with_prefix(PREFIX)) if table["TableName"] not in there]
        for table in missing:
            client.create_table(**table)
    except (BotoCoreError, ClientError) as error:
        raise StackError(f"the tables could not be created: {error}") from error
    finally:
        client.close()
    return [table["TableName"] for table in missing]
