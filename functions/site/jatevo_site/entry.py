"""
What Lambda calls: the app behind Mangum, wired when this module is imported, so that the work is done while the
environment starts. Only Lambda imports it; everything else takes `handler.create_app`.
"""

from jatevo.adapters.http.buffered import buffered
from jatevo.adapters.http.cors import Cors
from jatevo.bootstrap import Process, settings_from
from jatevo_site.handler import create_app

_settings = settings_from()
_settings.set_up_logs()
lambda_handler = buffered(Cors(create_app(Process(_settings)), _settings.cors_origin))
