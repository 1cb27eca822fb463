"""
What Lambda calls: the app behind Mangum, wired when this module is imported, so that the work is done while the
environment starts. Only Lambda imports it; everything else takes `handler.create_app`.
"""

from mangum import Mangum

from jatevo.bootstrap import Gateway, settings_from
from jatevo_admin.handler import create_app

_gateway = Gateway(settings_from())
_gateway.check_tables()
lambda_handler = Mangum(create_app(_gateway), lifespan="off")
