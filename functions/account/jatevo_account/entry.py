"""
What Lambda calls: the app behind Mangum, wired when this module is imported, so that the work is done while the
environment starts. Only Lambda imports it; everything else takes `handler.create_app`.
"""

from jatevo.adapters.http.buffered import buffered
from jatevo.adapters.http.cors import Cors
from jatevo.bootstrap import Gateway, settings_from
from jatevo_account.handler import create_app

_settings = settings_from()
_settings.set_up_logs()
_gateway = Gateway(_settings)
_gateway.check_tables()
lambda_handler = buffered(Cors(create_app(_gateway), _settings.cors_origin))
